/* Sends every datagram back, until one says "stop" or N (the second argument)
 * have come; the first argument is the port, 7 unless said otherwise. */
#include <serverkernel.h>
#include <sk_text.h>

static uint32_t number(const char *text)
{
    uint32_t n = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint32_t)(*text - '0');
    return n;
}

int main(int argc, char **argv)
{
    static uint8_t buf[SK_DATAGRAM_MAX];
    uint32_t left = argc > 2 ? number(argv[2]) : UINT32_MAX;
    int32_t port = sk_net_bind(argc > 1 ? number(argv[1]) : 7, 0);
    if (port < 0) {
        static const char refused[] = "error: the port cannot be had\n";
        sk_io_error(refused, sizeof refused - 1);
        return 1;
    }
    sk_io_error("port\n", 5);
    for (; left > 0; left--) {
        struct sk_udp_info info;
        int32_t got = sk_net_recv(buf, sizeof buf, &info);
        if (got < 0)
            return 1;
        if (got == 4 && !__builtin_memcmp(buf, "stop", 4))
            break;
        if (sk_net_send(&info.peer, buf, (uint32_t)got) < 0)
            return 1;
    }
    return 0;
}
