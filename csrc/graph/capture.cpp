#include "graph/capture.h"

#include <cstdio>
#include <iomanip>

namespace deeplite {
namespace {

std::string format(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.17g", v);
    for (int digits = 1; digits < 17; ++digits) {  // the shortest text that reads back the same
        char shorter[32];
        std::snprintf(shorter, sizeof shorter, "%.*g", digits, v);
        if (std::stod(shorter) == v) return shorter;
    }
    return text;
}

std::string value_name(const Graph& g, int id) {
    if (id < 0) return "None";
    const Graph::Value& v = g.values[size_t(id)];
    if (v.kind == Graph::Kind::constant && v.shape.empty() && v.device.is_cpu()) {
        const Tensor& c = v.constant;
        return is_floating(v.dtype) ? format(load_double(c.raw(), v.dtype))
                                    : cat(load_int(c.raw(), v.dtype));
    }
    return cat(v.kind == Graph::Kind::constant ? "c" : "%", id);
}

std::string join(const Graph& g, const std::vector<int>& ids) {
    std::string s;
    for (int id : ids) s += (s.empty() ? "" : ", ") + value_name(g, id);
    return s;
}

}  // namespace

std::string to_string(const AttributeValue& v) {
    struct Show {
        std::string operator()(bool b) const { return b ? "True" : "False"; }
        std::string operator()(int64_t i) const { return std::to_string(i); }
        std::string operator()(double d) const { return format(d); }
        std::string operator()(const std::string& s) const { return "'" + s + "'"; }
        std::string operator()(const Dims& d) const { return cat(d); }
        std::string operator()(const std::vector<double>& d) const {
            std::string s = "[";
            for (double x : d) s += (s.size() > 1 ? ", " : "") + format(x);
            return s + "]";
        }
    };
    return std::visit(Show{}, v);
}

Recorder::Recorder(const TensorList& inputs) : outer_(t_recorder) {
    for (const Tensor& t : inputs) {
        check(ids_.count(t.impl()) == 0, "capture: the same tensor was given as two inputs");
        graph_.inputs.push_back(add_value(t, Graph::Kind::input));
    }
    t_recorder = this;
}

Recorder::~Recorder() {
    if (t_recorder == this) t_recorder = outer_;
}

int Recorder::add_value(const Tensor& t, Graph::Kind kind) {
    int id = int(graph_.values.size());
    graph_.values.push_back(
        {kind, t.shape(), t.dtype(), t.device(), kind == Graph::Kind::constant ? t : Tensor{}});
    ids_[t.impl()] = id;
    by_storage_.emplace(t.impl()->storage.get(), t);
    alive_.push_back(t);
    return id;
}

int Recorder::find(const Tensor& t) const {
    if (auto it = ids_.find(t.impl()); it != ids_.end()) return it->second;
    // The same view made anew: what autograd saved for backward comes back as another object.
    auto [first, last] = by_storage_.equal_range(t.impl()->storage.get());
    for (; first != last; ++first) {
        const Tensor& known = first->second;
        if (known.offset() == t.offset() && known.dtype() == t.dtype() &&
            known.shape() == t.shape() && known.strides() == t.strides())
            return ids_.at(known.impl());
    }
    return -1;
}

int Recorder::value_of(const Tensor& t) {
    if (!t.defined()) return -1;
    int id = find(t);
    return id >= 0 ? id : add_value(t, Graph::Kind::constant);
}

void Recorder::record(std::shared_ptr<const RecordedOp> op, std::span<const Tensor> inputs,
                      std::span<const Tensor> outputs) {
    Graph::Step step{std::move(op), {}, {}};
    for (const Tensor& t : inputs) step.inputs.push_back(value_of(t));
    for (const Tensor& t : outputs) {
        auto it = t.defined() ? ids_.find(t.impl()) : ids_.end();
        bool known = it != ids_.end();
        step.outputs.push_back(!t.defined() ? -1
                               : known      ? it->second
                                            : add_value(t, Graph::Kind::result));
    }
    graph_.steps.push_back(std::move(step));
}

void Recorder::same_value(const Tensor& known, const Tensor& other) {
    auto it = ids_.find(known.impl());
    if (it == ids_.end()) return;
    ids_[other.impl()] = it->second;
    alive_.push_back(other);
}

Graph Recorder::finish(const TensorList& outputs) {
    for (const Tensor& t : outputs) graph_.outputs.push_back(value_of(t));
    t_recorder = outer_;
    return std::move(graph_);
}

bool Recorder::computed(const Tensor& t) const {
    int id = find(t);
    return id >= 0 && graph_.values[size_t(id)].kind != Graph::Kind::constant;
}

void Recorder::check_readable(const Tensor& t, const char* op) const {
    check(!computed(t), op, ": cannot read the value of a tensor while it is being captured (",
          describe(t), "); a replay could not repeat what Python decides from it");
}

TensorList Graph::replay(const TensorList& given) const {
    check<TypeError>(given.size() == inputs.size(), "replay: the graph takes ", inputs.size(),
                     " inputs, got ", given.size());
    TensorList live(values.size());
    for (size_t i = 0; i < given.size(); ++i) {
        const Value& v = values[size_t(inputs[i])];
        check<ShapeError>(given[i].defined() && given[i].shape() == v.shape &&
                              given[i].dtype() == v.dtype && given[i].device() == v.device,
                          "replay: input ", i, " was captured as ", v.dtype, v.shape, " on ",
                          v.device, ", got ", describe(given[i]));
        live[size_t(inputs[i])] = given[i];
    }
    for (size_t i = 0; i < values.size(); ++i)
        if (values[i].kind == Kind::constant) live[i] = values[i].constant;
    // After its last use a value is dropped, so a replay needs no more memory than the eager run.
    std::vector<size_t> last(values.size(), 0);
    for (size_t s = 0; s < steps.size(); ++s)
        for (int id : steps[s].inputs)
            if (id >= 0) last[size_t(id)] = s;
    for (int id : outputs)
        if (id >= 0) last[size_t(id)] = steps.size();
    for (size_t s = 0; s < steps.size(); ++s) {
        TensorList in;
        for (int id : steps[s].inputs) in.push_back(id < 0 ? Tensor{} : live[size_t(id)]);
        TensorList out = steps[s].op->run(in);
        for (size_t i = 0; i < out.size(); ++i)
            if (int id = steps[s].outputs[i]; id >= 0 && last[size_t(id)] > s)
                live[size_t(id)] = out[i];
        for (int id : steps[s].inputs)
            if (id >= 0 && last[size_t(id)] == s) live[size_t(id)] = {};
    }
    TensorList results;
    for (int id : outputs) results.push_back(id < 0 ? Tensor{} : live[size_t(id)]);
    return results;
}

std::string Graph::str() const {
    std::vector<std::array<std::string, 4>> rows = {{"value", "op", "inputs", "attributes"}};
    auto typed = [&](int id) {
        const Value& v = values[size_t(id)];
        return cat(value_name(*this, id), ": ", v.dtype, v.shape);
    };
    for (int id : inputs) rows.push_back({typed(id), "input", "", ""});
    for (size_t i = 0; i < values.size(); ++i)
        if (values[i].kind == Kind::constant && value_name(*this, int(i))[0] == 'c')
            rows.push_back({typed(int(i)), "constant", "", ""});
    for (const Step& s : steps) {
        std::string out, attrs;
        for (int id : s.outputs)
            if (id >= 0) out += (out.empty() ? "" : ", ") + typed(id);
        for (const Attribute& a : s.op->attributes())
            attrs += (attrs.empty() ? "" : ", ") + a.name + "=" + to_string(a.value);
        rows.push_back({out, s.op->name(), join(*this, s.inputs), attrs});
    }
    rows.push_back({join(*this, outputs), "output", "", ""});
    size_t width[3] = {};
    for (auto& r : rows)
        for (int c = 0; c < 3; ++c) width[c] = std::max(width[c], r[size_t(c)].size());
    std::ostringstream text;
    for (auto& r : rows) {
        std::ostringstream line;
        for (int c = 0; c < 3; ++c)
            line << std::left << std::setw(int(width[c]) + 2) << r[size_t(c)];
        std::string s = line.str() + r[3];
        s.erase(s.find_last_not_of(' ') + 1);
        text << s << '\n';
    }
    return text.str();
}

}  // namespace deeplite
