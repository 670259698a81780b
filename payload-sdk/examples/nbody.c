/* Sun, Jupiter, Saturn, Uranus and Neptune in double precision: the energy of
 * the system before and after 1000 steps of 3.65 days. It should stay.
 * Units: AU, days, masses of the sun. */
#include <serverkernel.h>
#include <sk_text.h>

#define N 5
#define G (0.01720209895 * 0.01720209895) /* Gauss */

/* Position, velocity, mass: 1 January 2000, from the sun. */
static struct body {
    double x[3], v[3], m;
} bodies[N] = {
    { { 0 }, { 0 }, 1 },
    { { 4.84143144, -1.16032004, -0.10362204 }, { 0.001660076643, 0.007699011184, -0.000069046002 }, 0.0009547919 },
    { { 8.34336672, 4.12479856, -0.40352342 }, { -0.002767425107, 0.004998528012, 0.000023041730 }, 0.0002858860 },
    { { 12.89436956, -15.11115140, -0.22330758 }, { 0.002964601376, 0.002378471740, -0.000029658957 }, 0.0000436624 },
    { { 15.37969711, -25.91931461, 0.17925877 }, { 0.002680677725, 0.001628241700, -0.000095159225 }, 0.0000515139 },
};

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* The energy; then everything moves on by a time, which may be 0. */
static double step(double dt)
{
    double sum = 0;
    for (struct body *a = bodies; a < bodies + N; a++) {
        sum += 0.5 * a->m * dot(a->v, a->v);
        for (struct body *b = bodies; b < a; b++) {
            double d[3] = { a->x[0] - b->x[0], a->x[1] - b->x[1], a->x[2] - b->x[2] };
            double r2 = dot(d, d), r = __builtin_sqrt(r2), f = G * dt / (r2 * r);
            sum -= G * a->m * b->m / r;
            for (int k = 0; k < 3; k++) {
                a->v[k] -= d[k] * b->m * f;
                b->v[k] += d[k] * a->m * f;
            }
        }
    }
    for (struct body *a = bodies; a < bodies + N; a++)
        for (int k = 0; k < 3; k++)
            a->x[k] += dt * a->v[k];
    return sum;
}

int main(void)
{
    sk_put_f64(step(0), 15);
    for (int i = 0; i < 1000; i++)
        step(3.65);
    sk_put(" ");
    sk_put_f64(step(0), 15);
    sk_put("\n");
    return 0;
}
