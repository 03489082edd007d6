// Per-thread switches: is gradient recording on, are we in inference mode, is anomaly mode on.
#pragma once
#include <string>
#include <vector>

namespace deeplite {

struct GradState {
    bool enabled = true;
    bool inference = false;
};
inline thread_local constinit GradState t_grad_state;

inline bool grad_enabled() { return t_grad_state.enabled; }

// Sets recording for a scope; GradMode no_grad(false);
class GradMode {
 public:
    explicit GradMode(bool enabled) : saved_(t_grad_state.enabled) {
        t_grad_state.enabled = enabled;
    }
    ~GradMode() { t_grad_state.enabled = saved_; }
    GradMode(const GradMode&) = delete;
    GradMode& operator=(const GradMode&) = delete;

 private:
    bool saved_;
};

// Anomaly mode: each node remembers the layer that made it, and backward stops at the first NaN.
bool anomaly_enabled();
void set_anomaly_enabled(bool on);
// The path of the layer now running ("encoder.layer1.conv"), kept by nn.Module in anomaly mode only.
void push_layer(std::string name);
void pop_layer();
std::string current_layer();

}  // namespace deeplite
