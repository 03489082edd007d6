// Capture: the ops that a function runs, recorded as a graph that can be printed and replayed bit-equal.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <variant>

#include "core/tensor.h"

namespace deeplite {

// The value of one attribute of an op, as `attributes()` of its declaration shows it.
using AttributeValue = std::variant<bool, int64_t, double, std::string, Dims, std::vector<double>>;
struct Attribute {
    std::string name;
    AttributeValue value;
};
std::string to_string(const AttributeValue& v);

// An op with its attributes fixed, ready to run again. apply.h makes one from any op declaration.
class RecordedOp {
 public:
    virtual ~RecordedOp() = default;
    virtual const char* name() const = 0;
    virtual std::vector<Attribute> attributes() const = 0;
    virtual TensorList run(std::span<const Tensor> inputs) const = 0;
};

class Graph {
 public:
    enum class Kind { input, constant, result };
    struct Value {
        Kind kind;
        Dims shape;
        DType dtype;
        Device device;
        Tensor constant;  // only for constants
    };
    struct Step {
        std::shared_ptr<const RecordedOp> op;
        std::vector<int> inputs;   // value numbers; -1 for an absent tensor
        std::vector<int> outputs;  // an in-place op names its first input again
    };
    std::vector<Value> values;
    std::vector<Step> steps;
    std::vector<int> inputs, outputs;

    // Runs the steps on new inputs, which must have the recorded shapes, dtypes and devices. Goes through
    // autograd, so a replay can be differentiated. What the recorded function changed in place (constants,
    // their .grad, an optimizer's state) a replay changes again.
    TensorList replay(const TensorList& inputs) const;
    std::string str() const;  // a readable table
};

// While one lives, apply() of the same thread reports every op to it.
class Recorder {
 public:
    explicit Recorder(const TensorList& inputs);
    ~Recorder();
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    void record(std::shared_ptr<const RecordedOp> op, std::span<const Tensor> inputs,
                std::span<const Tensor> outputs);
    // `other` shows the same memory and value as `known` (a saved output given back to its backward).
    void same_value(const Tensor& known, const Tensor& other);
    // Ends the recording: `outputs` become the graph's results.
    Graph finish(const TensorList& outputs);
    // Reading a value back to the host would bake it into the graph: refused for anything computed so far.
    void check_readable(const Tensor& t, const char* op) const;
    // t is an input of the recording or was computed in it.
    bool computed(const Tensor& t) const;

 private:
    int find(const Tensor& t) const;  // -1 when not seen so far
    int value_of(const Tensor& t);    // known, or a new constant
    int add_value(const Tensor& t, Graph::Kind kind);
    Graph graph_;
    std::unordered_map<TensorImpl*, int> ids_;
    std::unordered_multimap<Storage*, Tensor> by_storage_;
    TensorList alive_;  // keeps every recorded tensor, so that no address is used twice
    Recorder* outer_;
};

inline thread_local constinit Recorder* t_recorder = nullptr;

}  // namespace deeplite
