// einsum and tensordot. Operands are contracted pairwise from left to right; each pair becomes one
// batched matrix product (or a broadcast multiplication when nothing is summed).
#include <cctype>

#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {
namespace {

// A label is a letter's rank in torch's order (A..Z, a..z); ellipsis dimensions follow, aligned
// right.
constexpr int kLetters = 52;
constexpr int kEllipsis = -1;
using Labels = std::vector<int>;

struct Labelled {
    Tensor tensor;
    Labels labels;  // one per dimension, all different
    int find(int label) const {
        const auto at = std::find(labels.begin(), labels.end(), label);
        return at == labels.end() ? -1 : int(at - labels.begin());
    }
};

bool has(const Labels& labels, int label) {
    return std::find(labels.begin(), labels.end(), label) != labels.end();
}

std::string spell(int label) {
    return label >= kLetters ? "..."
                             : std::string(1, char(label < 26 ? 'A' + label : 'a' + label - 26));
}

// "ij...k" -> labels, with kEllipsis for the dots.
Labels parse_term(const std::string& term, const char* where) {
    Labels labels;
    for (size_t i = 0; i < term.size(); ++i) {
        const char ch = term[i];
        if (ch == '.') {
            check<ValueError>(term.compare(i, 3, "...") == 0,
                              "einsum: found '.' that is not part of '...' in ", where);
            check<ValueError>(!has(labels, kEllipsis), "einsum: more than one ellipsis in ", where);
            labels.push_back(kEllipsis);
            i += 2;
        } else {
            check<ValueError>(std::isalpha(static_cast<unsigned char>(ch)),
                              "einsum: subscripts are letters, got '", std::string(1, ch), "' in ",
                              where);
            labels.push_back(ch <= 'Z' ? ch - 'A' : ch - 'a' + 26);
        }
    }
    return labels;
}

struct Equation {
    std::vector<Labels> inputs;
    Labels output;
    bool explicit_output = false;
};

Equation parse_equation(const std::string& text) {
    std::string s;
    for (char ch : text)
        if (ch != ' ') s.push_back(ch);
    Equation e;
    std::string left = s;
    if (const size_t arrow = s.find("->"); arrow != std::string::npos) {
        left = s.substr(0, arrow);
        e.explicit_output = true;
        e.output = parse_term(s.substr(arrow + 2), "the output");
    }
    for (size_t at = 0;;) {
        const size_t comma = left.find(',', at);
        const std::string where = cat("the subscripts of operand ", e.inputs.size());
        e.inputs.push_back(parse_term(
            left.substr(at, comma == std::string::npos ? comma : comma - at), where.c_str()));
        if (comma == std::string::npos) return e;
        at = comma + 1;
    }
}

// How many dimensions the ellipsis of a term stands for.
int ellipsis_size(const Labels& term, const Tensor& x, size_t operand) {
    const int named = int(term.size()) - has(term, kEllipsis);
    check<ShapeError>(has(term, kEllipsis) ? named <= x.dim() : named == x.dim(),
                      "einsum: operand ", operand, " has ", named, " subscripts but shape ",
                      x.shape(), " has ", x.dim(), " dimensions");
    return x.dim() - named;
}

Labels spell_out(const Labels& term, int own,
                 int widest) {  // ellipsis -> `own` labels, aligned right
    Labels out;
    for (int label : term) {
        if (label != kEllipsis)
            out.push_back(label);
        else
            for (int i = widest - own; i < widest; ++i) out.push_back(kLetters + i);
    }
    return out;
}

// Repeated labels of one operand become its diagonal.
Labelled take_diagonals(Tensor x, Labels labels, size_t operand) {
    for (size_t i = 0; i < labels.size(); ++i)
        for (size_t j = i + 1; j < labels.size(); ++j) {
            if (labels[i] != labels[j]) continue;
            const int64_t a = x.size(int64_t(i)), b = x.size(int64_t(j));
            check<ShapeError>(a == b, "einsum: subscript ", spell(labels[i]),
                              " is repeated for operand ", operand, " but the sizes differ: ", a,
                              " and ", b, " in shape ", x.shape());
            x = movedim(diagonal(x, 0, int64_t(i), int64_t(j)), {-1}, {int64_t(i)});
            labels.erase(labels.begin() + long(j));
            --j;
        }
    return {x, labels};
}

// Sums out the dimensions whose labels are not in `keep`.
Labelled sum_out(const Labelled& x, const Labels& keep) {
    Dims dims;
    Labels rest;
    for (size_t i = 0; i < x.labels.size(); ++i) {
        if (has(keep, x.labels[i]))
            rest.push_back(x.labels[i]);
        else
            dims.push_back(int64_t(i));
    }
    if (dims.empty()) return x;
    return {sum(x.tensor, dims, false, x.tensor.dtype()), rest};
}

// x with its dimensions in the order of `labels`; size 1 where x lacks one.
Tensor arrange(const Labelled& x, const Labels& labels) {
    Dims order;
    for (int label : labels)
        if (const int at = x.find(label); at >= 0) order.push_back(at);
    Tensor y = permute(x.tensor, order);
    for (size_t i = 0; i < labels.size(); ++i)
        if (x.find(labels[i]) < 0) y = unsqueeze(y, int64_t(i));
    return y;
}

int64_t size_of(const Labelled& x, const Labels& labels) {
    int64_t n = 1;
    for (int label : labels) n *= x.tensor.size(x.find(label));
    return n;
}

Labels join(std::initializer_list<const Labels*> parts) {
    Labels all;
    for (const Labels* part : parts) all.insert(all.end(), part->begin(), part->end());
    return all;
}

// Dimensions of size 1 that meet a longer one of the same label in `other` are dropped: they
// broadcast.
Labelled drop_broadcast(const Labelled& x, const Labelled& other) {
    Dims ones;
    Labels rest;
    for (size_t i = 0; i < x.labels.size(); ++i) {
        const int at = other.find(x.labels[i]);
        if (at >= 0 && x.tensor.size(int64_t(i)) == 1 && other.tensor.size(at) != 1)
            ones.push_back(int64_t(i));
        else
            rest.push_back(x.labels[i]);
    }
    return ones.empty() ? x : Labelled{squeeze(x.tensor, ones), rest};
}

// One tensor out of two; labels not in `keep` are summed.
Labelled contract(const Labelled& first, const Labelled& second, const Labels& keep) {
    Labelled a = drop_broadcast(first, second), b = drop_broadcast(second, a);
    a = sum_out(a, join({&keep, &b.labels}));
    b = sum_out(b, join({&keep, &a.labels}));
    Labels batch, summed, rows,
        columns;  // in both and kept; in both and summed; only in a; only in b
    for (int label : a.labels)
        (b.find(label) < 0 ? rows : has(keep, label) ? batch : summed).push_back(label);
    for (int label : b.labels)
        if (a.find(label) < 0) columns.push_back(label);
    const Labels result = join({&batch, &rows, &columns});
    if (summed.empty()) return {mul(arrange(a, result), arrange(b, result)), result};

    Dims shape;
    for (int label : batch) shape.push_back(a.tensor.size(a.find(label)));
    for (int label : rows) shape.push_back(a.tensor.size(a.find(label)));
    for (int label : columns) shape.push_back(b.tensor.size(b.find(label)));
    const int64_t z = size_of(a, batch), m = size_of(a, rows), k = size_of(a, summed),
                  n = size_of(b, columns);
    const Tensor left = arrange(a, join({&batch, &rows, &summed}));
    const Tensor right = arrange(b, join({&batch, &summed, &columns}));
    const Tensor y = batch.empty() ? mm(reshape(left, {m, k}), reshape(right, {k, n}))
                                   : bmm(reshape(left, {z, m, k}), reshape(right, {z, k, n}));
    return {reshape(y, shape), result};
}

// Sizes of a label agree over all operands, up to broadcasting.
void check_sizes(const std::vector<Labelled>& xs) {
    std::vector<int64_t> sizes(kLetters + kMaxDims, 1);
    for (size_t o = 0; o < xs.size(); ++o)
        for (size_t i = 0; i < xs[o].labels.size(); ++i) {
            int64_t& size = sizes[size_t(xs[o].labels[i])];
            const int64_t own = xs[o].tensor.size(int64_t(i));
            check<ShapeError>(
                size == 1 || own == 1 || size == own, "einsum: subscript ", spell(xs[o].labels[i]),
                " has size ", own, " for operand ", o, " of shape ", xs[o].tensor.shape(),
                ", which does not broadcast with size ", size, " of an earlier operand");
            if (own != 1) size = own;
        }
}

// Without "->": ellipsis first, then the letters that occur once, in order.
Labels implied_output(const std::vector<Labels>& terms, int widest) {
    Labels out;
    for (int i = 0; i < widest; ++i) out.push_back(kLetters + i);
    for (int label = 0; label < kLetters; ++label) {
        int64_t uses = 0;
        for (const Labels& term : terms) uses += std::count(term.begin(), term.end(), label);
        if (uses == 1) out.push_back(label);
    }
    return out;
}

}  // namespace

Tensor einsum(const std::string& equation, const TensorList& operands) {
    check<ValueError>(!operands.empty(), "einsum: at least one operand is needed");
    const Equation e = parse_equation(equation);
    check<ValueError>(e.inputs.size() == operands.size(), "einsum: the equation '", equation,
                      "' has ", e.inputs.size(), " operands but ", operands.size(), " were given");
    std::vector<int> own(operands.size());
    int widest = 0;
    for (size_t i = 0; i < operands.size(); ++i) {
        own[i] = ellipsis_size(e.inputs[i], operands[i], i);
        widest = std::max(widest, own[i]);
    }
    std::vector<Labels> terms;
    std::vector<Labelled> xs;
    for (size_t i = 0; i < operands.size(); ++i) {
        terms.push_back(spell_out(e.inputs[i], own[i], widest));
        xs.push_back(take_diagonals(operands[i], terms[i], i));
    }
    const Labels output =
        e.explicit_output ? spell_out(e.output, widest, widest) : implied_output(terms, widest);
    for (size_t i = 0; i < output.size(); ++i) {
        check<ValueError>(std::count(output.begin(), output.end(), output[i]) == 1,
                          "einsum: output subscript ", spell(output[i]), " appears more than once");
        bool known = false;
        for (const Labels& term : terms) known = known || has(term, output[i]);
        check<ValueError>(known, "einsum: output subscript ", spell(output[i]),
                          " appears in no operand");
    }
    check_sizes(xs);
    Labelled result = xs[0];
    for (size_t i = 1; i < xs.size(); ++i) {
        Labels keep = output;
        for (size_t later = i + 1; later < xs.size(); ++later)
            keep = join({&keep, &xs[later].labels});
        result = contract(result, xs[i], keep);
    }
    return arrange(sum_out(result, output), output);
}

Tensor tensordot(const Tensor& a, const Tensor& b, const Dims& dims_a, const Dims& dims_b) {
    check<ShapeError>(dims_a.size() == dims_b.size(),
                      "tensordot: both lists of dimensions must have one length, got ", dims_a,
                      " and ", dims_b);
    const auto wrap = [](const Dims& dims, const Tensor& x) {
        Dims out;
        for (int64_t d : dims) {
            out.push_back(wrap_dim(d, x.dim(), "tensordot"));
            check<Error>(std::count(out.begin(), out.end(), out.back()) == 1,
                         "tensordot: dimension ", d, " appears twice in ", dims);
        }
        return out;
    };
    const Dims da = wrap(dims_a, a), db = wrap(dims_b, b);
    Labels la(size_t(a.dim())), lb(size_t(b.dim())), keep;
    for (int i = 0; i < a.dim(); ++i) la[size_t(i)] = i;
    for (int i = 0; i < b.dim(); ++i) lb[size_t(i)] = a.dim() + i;
    for (int i = 0; i < da.size(); ++i) {
        const int64_t p = a.size(da[i]), q = b.size(db[i]);
        check<ShapeError>(p == q || p == 1 || q == 1, "tensordot: size ", p, " at dimension ",
                          da[i], " of ", a.shape(), " differs from size ", q, " at dimension ",
                          db[i], " of ", b.shape());
        lb[size_t(db[i])] = int(da[i]);
    }
    for (int i = 0; i < a.dim(); ++i)
        if (!da.contains(i)) keep.push_back(i);
    for (int i = 0; i < b.dim(); ++i)
        if (!db.contains(i)) keep.push_back(a.dim() + i);
    const Labelled y = contract({a, la}, {b, lb}, keep);
    return arrange(sum_out(y, keep), keep);
}

Tensor tensordot(const Tensor& a, const Tensor& b, int64_t dims) {
    check<Error>(dims >= 0, "tensordot: dims must not be negative, got ", dims);
    check<Error>(dims <= a.dim() && dims <= b.dim(), "tensordot: dims = ", dims,
                 " exceeds the number of dimensions of ", a.shape(), " or ", b.shape());
    Dims da, db;
    for (int64_t i = 0; i < dims; ++i) {
        da.push_back(a.dim() - dims + i);
        db.push_back(i);
    }
    return tensordot(a, b, da, db);
}

}  // namespace deeplite
