/* sk_text.h: text and numbers to the output, for payloads in C. Optional, and
 * no more than small programs need; only what is called is linked.
 */
#ifndef SK_TEXT_H
#define SK_TEXT_H

#include <serverkernel.h>

/* Length of a string. */
static inline uint32_t sk_strlen(const char *text)
{
    uint32_t len = 0;
    while (text[len])
        len++;
    return len;
}

/* A string. */
static inline void sk_put(const char *text)
{
    sk_io_write(text, sk_strlen(text));
}

/* A string and a line feed. */
static inline void sk_puts(const char *text)
{
    sk_put(text);
    sk_io_write("\n", 1);
}

/* A number in base 2 to 16, with zeros in front up to `digits` digits (at most
 * 64 are written). */
static inline void sk_put_base(uint64_t value, uint32_t base, uint32_t digits)
{
    char text[64];
    uint32_t at = sizeof text;
    do {
        text[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (at > 0 && (value > 0 || sizeof text - at < digits));
    sk_io_write(text + at, sizeof text - at);
}

/* A number in decimal. */
static inline void sk_put_u64(uint64_t value)
{
    sk_put_base(value, 10, 1);
}

/* A number with its sign in decimal. */
static inline void sk_put_i64(int64_t value)
{
    if (value < 0)
        sk_put("-");
    sk_put_base(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, 1);
}

/* A number below 10^9 with 0 to 9 digits after the point, rounded. */
static inline void sk_put_f64(double value, uint32_t digits)
{
    uint64_t unit = 1;
    for (uint32_t i = 0; i < digits; i++)
        unit *= 10;
    if (__builtin_signbit(value)) {
        sk_put("-");
        value = -value;
    }
    uint64_t scaled = (uint64_t)(value * (double)unit + 0.5);
    sk_put_base(scaled / unit, 10, 1);
    if (digits > 0) {
        sk_put(".");
        sk_put_base(scaled % unit, 10, digits);
    }
}

/* Ends the task as failed, with a message for the client. */
static inline __attribute__((noreturn)) void sk_abort(const char *message)
{
    sk_task_abort(message, sk_strlen(message));
}

/* Ends the task as failed unless `condition` holds: the client is told where. */
#define sk_assert(condition)                                                        \
    ((condition) ? (void)0 : sk_abort(__FILE__ ":" SK_TEXT(__LINE__) " " #condition))
#define SK_TEXT(x) SK_TEXT_(x)
#define SK_TEXT_(x) #x

#endif
