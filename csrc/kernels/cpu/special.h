// Special functions that the C library lacks, for one number at a time, in double.
#pragma once
#include <math.h>

namespace {

inline double lgamma_value(double x) {
#if defined(__GLIBC__)
    int sign;
    return lgamma_r(x, &sign);  // lgamma writes a global variable
#else
    return lgamma(x);
#endif
}

// The derivative of lgamma. Reflection to x > 0, recurrence to x >= 10, then the asymptotic series.
inline double digamma_value(double x) {
    const double pi = 3.14159265358979323846;
    if (x == 0) return copysign(INFINITY, -x);
    double result = 0;
    if (x < 0) {
        if (x == floor(x)) return NAN;
        double whole, fraction = modf(x, &whole);
        result = -pi / tan(pi * fraction);
        x = 1 - x;
    }
    for (; x < 10; x += 1) result -= 1 / x;
    if (isinf(x)) return x + result;
    double z = 1 / (x * x);
    // Bernoulli numbers B(2k) / 2k
    double series =
        z * (1. / 12 -
             z * (1. / 120 -
                  z * (1. / 252 -
                       z * (1. / 240 - z * (1. / 132 - z * (691. / 32760 - z * (1. / 12)))))));
    return result + log(x) - 0.5 / x - series;
}

// x with erf(x) = y. Winitzki's closed form is good to 0.2 %; two steps of Halley's method, on erf or
// on the complement where that keeps the digits, make it exact.
inline double erfinv_value(double y) {
    double a = fabs(y);
    if (!(a < 1)) return a == 1 ? copysign(INFINITY, y) : NAN;
    if (a < 1e-9) return y * 0.88622692545275801365;  // sqrt(pi) / 2
    const double k = 0.147;
    double l = log1p(-a * a), h = 2 / (3.14159265358979323846 * k) + l / 2;
    double x = sqrt(sqrt(h * h - l / k) - h);
    for (int step = 0; step < 2; ++step) {
        double error = a < 0.5 ? erf(x) - a : (1 - a) - erfc(x);
        double u = error * 0.88622692545275801365 * exp(x * x);
        x -= u / (1 + x * u);
    }
    return copysign(x, y);
}

}  // namespace
