// How many threads this process may keep busy.
#pragma once

namespace deeplite::cpu {

// CPUs in the affinity mask (or in the machine where there is no such mask).
int affinity_cpus();

// CPUs' worth of time the control groups of this process allow, rounded up; 0 = no limit. Reads
// `proc_cgroup` (/proc/self/cgroup) and, below `mount` (/sys/fs/cgroup), cpu.max of version 2 or
// cpu.cfs_quota_us of version 1, from the process's own group up to the root: the tightest counts.
int cgroup_cpus(const char* proc_cgroup, const char* mount);

// DEEPLITE_NUM_THREADS, else OMP_NUM_THREADS, else the smaller of the two above; at least 1.
int default_threads();

}  // namespace deeplite::cpu
