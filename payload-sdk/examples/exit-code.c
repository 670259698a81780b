/* Ends with the exit code its argument names; without one, with an error. */
#include <serverkernel.h>
#include <stdbool.h>

/* A number with or without a sign; false if it is none, or no int32_t. */
static bool parse(const char *text, int32_t *value)
{
    bool negative = *text == '-';
    int64_t n = 0;
    if (*text == '-' || *text == '+')
        text++;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > INT32_MAX)
            return false;
        n = n * 10 + (*text - '0');
    }
    n = negative ? -n : n;
    *value = (int32_t)n;
    return n >= INT32_MIN && n <= INT32_MAX;
}

int main(int argc, char **argv)
{
    static const char error[] = "error: an exit code, please\n";
    int32_t code;
    if (argc > 1 && parse(argv[1], &code))
        return code;
    sk_io_error(error, sizeof error - 1);
    return 1;
}
