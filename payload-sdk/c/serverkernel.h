/* serverkernel.h: what a payload in C is given.
 *
 * Made by `cargo xtask headers` from kernel/abi: change that, not this file.
 *
 * A payload is a program with a `main`, built by `sk build program.c`. There is
 * no C library below it, only the compiler's own headers (stdint.h, stddef.h,
 * stdbool.h, limits.h, float.h, stdarg.h).
 *
 *     #include <serverkernel.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         sk_io_write(sk_input(), sk_input_len());
 *         return 0;
 *     }
 *
 * Each sk_GROUP_NAME below is a service of the kernel, looked up when it is
 * first called. Calling one writes its id to the image's list of imports, so a
 * board that does not offer it refuses the payload before it runs. For one
 * that the payload can do without, ask sk_resolve(SK_ID_...) instead.
 */
#ifndef SERVERKERNEL_H
#define SERVERKERNEL_H

#include <stddef.h>
#include <stdint.h>

/* Versions and limits. */
#define SK_ABI_VERSION      1u          /* of everything here */
#define SK_STACK_UNIT       256u        /* a stack is a multiple of it */
#define SK_STACK_DEFAULT    16384u      /* bytes, unless SK_STACK or --stack says otherwise */
#define SK_STACK_MAX        16777216u   /* bytes */
#define SK_TEXT_MAX         16777216u   /* bytes of code and constants */
#define SK_DATA_MAX         16777216u   /* bytes of initialised data */
#define SK_BSS_MAX          268435456u  /* bytes of zeroed data */
#define SK_ARGS_MAX         2048u       /* bytes of arguments */
#define SK_MESSAGE_MAX      200u        /* bytes kept of sk_task_abort's message */

/* Bits of sk_task_info.flags. */
#define SK_TASK_SHIELDED    1u          /* user mode, behind the MMU */
#define SK_TASK_EMULATED    2u          /* cycle counts mean nothing */

/* How a task ended, as the client is told. */
enum sk_status {
    SK_STATUS_OK                = 0x0000, /* success */
    SK_STATUS_BAD_LENGTH        = 0x0101, /* a message has the wrong length */
    SK_STATUS_BAD_FIELD         = 0x0102, /* a field of a message has a value that is not allowed */
    SK_STATUS_NOT_CANONICAL     = 0x0103, /* a message is not in its one valid encoding */
    SK_STATUS_UNKNOWN_OP        = 0x0104, /* the board does not know this request */
    SK_STATUS_BAD_STATE         = 0x0105, /* the board cannot do this in its present state */
    SK_STATUS_TOO_MANY_REQUESTS = 0x0106, /* too many requests at once */
    SK_STATUS_VERSION           = 0x0107, /* no protocol version in common */
    SK_STATUS_NOT_ALLOWED       = 0x0201, /* this client's key is not on the board's list */
    SK_STATUS_ROLE              = 0x0202, /* this client's roles do not allow it */
    SK_STATUS_NOT_OWNER         = 0x0203, /* the task belongs to another client */
    SK_STATUS_AUTHOR_SIG        = 0x0204, /* the author's signature is missing or wrong */
    SK_STATUS_QUOTA             = 0x0205, /* the client's quota is used up */
    SK_STATUS_BUSY              = 0x0301, /* another task is active */
    SK_STATUS_TOO_BIG           = 0x0302, /* the task asks for more memory than the board has for it */
    SK_STATUS_TIME_TOO_LONG     = 0x0303, /* the task asks for more time than the board allows */
    SK_STATUS_FORMAT            = 0x0304, /* the board does not accept this image format */
    SK_STATUS_ABI               = 0x0305, /* the image was built for another ABI version */
    SK_STATUS_SYMBOLS_DIGEST    = 0x0306, /* the image was linked against other kernel symbols */
    SK_STATUS_BOOT_CHANGED      = 0x0307, /* the board was restarted since the task was prepared */
    SK_STATUS_STALE_TASK        = 0x0308, /* the task number was used before */
    SK_STATUS_CONFLICT          = 0x0309, /* the same task number was used for another task */
    SK_STATUS_PERIPHERAL        = 0x030a, /* the task asks for a peripheral it may not use */
    SK_STATUS_DIGEST            = 0x0401, /* the bytes received do not have the digest announced */
    SK_STATUS_HEADER            = 0x0402, /* the image header is malformed */
    SK_STATUS_MACHINE           = 0x0403, /* the image is not for this machine */
    SK_STATUS_SEGMENT           = 0x0404, /* a part of the image does not fit its announced size */
    SK_STATUS_WX                = 0x0405, /* a part of the image would be writable and executable */
    SK_STATUS_RELOC             = 0x0406, /* a relocation of the image is out of range or order */
    SK_STATUS_UNRESOLVED        = 0x0407, /* the image needs a service that the board does not offer */
    SK_STATUS_ENTRY             = 0x0408, /* the image's entry point is outside its code */
    SK_STATUS_OVERLAP           = 0x0409, /* parts of the image overlap */
    SK_STATUS_RANGE             = 0x0501, /* bytes outside the object */
    SK_STATUS_INCOMPLETE        = 0x0502, /* not all bytes have arrived */
    SK_STATUS_TIMEOUT           = 0x0503, /* nothing arrived for too long */
    SK_STATUS_OBJECT            = 0x0504, /* no such object */
    SK_STATUS_UNDEF             = 0x0601, /* undefined instruction */
    SK_STATUS_PREFETCH_ABORT    = 0x0602, /* instruction fetch from where no code is */
    SK_STATUS_DATA_ABORT        = 0x0603, /* access to an address that is not mapped */
    SK_STATUS_ALIGNMENT         = 0x0604, /* misaligned access by an instruction that needs alignment */
    SK_STATUS_STACK             = 0x0605, /* stack overflow */
    SK_STATUS_KERNEL_ACCESS     = 0x0606, /* access to memory of the kernel or to a device */
    SK_STATUS_SYSCALL_ARG       = 0x0607, /* a service was given a bad pointer or length */
    SK_STATUS_SYSCALL_UNKNOWN   = 0x0608, /* a service number that does not exist or is withheld */
    SK_STATUS_DIV_ZERO          = 0x0609, /* division by zero */
    SK_STATUS_VFP               = 0x060a, /* floating-point exception */
    SK_STATUS_PANIC             = 0x060b, /* the payload panicked */
    SK_STATUS_BKPT              = 0x060c, /* breakpoint instruction */
    SK_STATUS_WALL_DEADLINE     = 0x0701, /* the time allowed is over */
    SK_STATUS_CPU_LIMIT         = 0x0702, /* the CPU time allowed is used up */
    SK_STATUS_HEARTBEAT         = 0x0703, /* the payload stopped giving signs of life */
    SK_STATUS_OUT_OF_MEMORY     = 0x0704, /* out of memory */
    SK_STATUS_OUTPUT_LIMIT      = 0x0705, /* more output than the task asked room for */
    SK_STATUS_SYSCALL_RATE      = 0x0706, /* too many service calls */
    SK_STATUS_ABORTED_OWNER     = 0x0801, /* ended by its owner */
    SK_STATUS_ABORTED_OPERATOR  = 0x0802, /* ended by an operator */
    SK_STATUS_SESSION_LOST      = 0x0803, /* the client was not heard of any more */
    SK_STATUS_REBOOTED          = 0x0804, /* the board restarted */
    SK_STATUS_KERNEL_BUG        = 0x0901, /* a fault of the kernel */
    SK_STATUS_RNG               = 0x0902, /* the random number generator failed its test */
    SK_STATUS_NET               = 0x0903, /* the network failed */
};

/* What a task is told at entry: read-only. Fields are only ever added at the
 * end; `size` says how many bytes this kernel wrote. */
struct sk_task_info {
    uint32_t abi;            /* SK_ABI_VERSION of the kernel */
    uint32_t size;           /* bytes of this structure */
    uint32_t input;          /* address of the input, read-only: sk_input() */
    uint32_t input_len;      /* bytes of input */
    uint32_t args;           /* address of the arguments: UTF-8, apart by one 0x00 */
    uint32_t args_len;       /* bytes of arguments */
    uint32_t region_start;   /* the task's memory: lowest address */
    uint32_t region_end;     /* and the first after it */
    uint32_t text;           /* where address 0 of the ELF file went */
    uint32_t text_len;       /* bytes of code and constants */
    uint32_t stack_start;    /* lowest address of the stack; nothing is mapped below */
    uint32_t stack_end;      /* the stack pointer at entry */
    uint32_t heap;           /* what the mem services hand out */
    uint32_t heap_len;       /* bytes of heap */
    uint64_t deadline_us;    /* when the task will be ended, on the clock of sk_time_now() */
    uint32_t board_revision; /* revision code, as the firmware reports it */
    uint32_t cpu_mhz_max;    /* highest clock of the core */
    uint32_t flags;          /* SK_TASK_... */
    uint32_t reserved;       /* 0 */
};

_Static_assert(offsetof(struct sk_task_info, abi) == 0, "sk_task_info.abi");
_Static_assert(offsetof(struct sk_task_info, size) == 4, "sk_task_info.size");
_Static_assert(offsetof(struct sk_task_info, input) == 8, "sk_task_info.input");
_Static_assert(offsetof(struct sk_task_info, input_len) == 12, "sk_task_info.input_len");
_Static_assert(offsetof(struct sk_task_info, args) == 16, "sk_task_info.args");
_Static_assert(offsetof(struct sk_task_info, args_len) == 20, "sk_task_info.args_len");
_Static_assert(offsetof(struct sk_task_info, region_start) == 24, "sk_task_info.region_start");
_Static_assert(offsetof(struct sk_task_info, region_end) == 28, "sk_task_info.region_end");
_Static_assert(offsetof(struct sk_task_info, text) == 32, "sk_task_info.text");
_Static_assert(offsetof(struct sk_task_info, text_len) == 36, "sk_task_info.text_len");
_Static_assert(offsetof(struct sk_task_info, stack_start) == 40, "sk_task_info.stack_start");
_Static_assert(offsetof(struct sk_task_info, stack_end) == 44, "sk_task_info.stack_end");
_Static_assert(offsetof(struct sk_task_info, heap) == 48, "sk_task_info.heap");
_Static_assert(offsetof(struct sk_task_info, heap_len) == 52, "sk_task_info.heap_len");
_Static_assert(offsetof(struct sk_task_info, deadline_us) == 56, "sk_task_info.deadline_us");
_Static_assert(offsetof(struct sk_task_info, board_revision) == 64, "sk_task_info.board_revision");
_Static_assert(offsetof(struct sk_task_info, cpu_mhz_max) == 68, "sk_task_info.cpu_mhz_max");
_Static_assert(offsetof(struct sk_task_info, flags) == 72, "sk_task_info.flags");
_Static_assert(offsetof(struct sk_task_info, reserved) == 76, "sk_task_info.reserved");
_Static_assert(sizeof(struct sk_task_info) == 80, "sk_task_info");

/* Numbers of the net services. */
#define SK_NET_ANY          1u          /* sk_net_bind: all ports but the kernel's */
#define SK_UDP_TRUNCATED    1u          /* the buffer was too short */
#define SK_UDP_BROADCAST    2u          /* sent to more than this board */
#define SK_ADDRESSES_LINK   1u          /* the cable is in */
#define SK_ADDRESSES_VALID  2u          /* ip is valid */
#define SK_DATAGRAM_MAX     1472u       /* bytes of a datagram */

/* Why a net service did not do it: its result. */
enum sk_net_error {
    SK_NET_RESERVED     =  -1, /* the port belongs to the kernel */
    SK_NET_IN_USE       =  -2, /* the port is bound already */
    SK_NET_NO_ROOM      =  -3, /* too many ports are bound */
    SK_NET_NOT_BOUND    =  -4, /* the port is not bound */
    SK_NET_TIMEOUT      =  -5, /* nothing was received in time */
    SK_NET_NO_ADDRESS   =  -6, /* the board has no address */
    SK_NET_DENIED       =  -7, /* the destination is not allowed */
    SK_NET_UNREACHABLE  =  -8, /* the destination does not answer */
    SK_NET_TOO_LONG     =  -9, /* the datagram is too long */
    SK_NET_NO_DEVICE    = -10, /* the network adapter takes nothing */
};

/* The other end of an exchange, and this one's port. */
struct sk_udp_peer {
    uint8_t ip[4];              /* its IPv4 address */
    uint16_t port;              /* its port */
    uint16_t local_port;        /* the board's; to send: 0 for the one bound first */
};
#if __SIZEOF_POINTER__ == 4
_Static_assert(offsetof(struct sk_udp_peer, ip) == 0, "sk_udp_peer.ip");
_Static_assert(offsetof(struct sk_udp_peer, port) == 4, "sk_udp_peer.port");
_Static_assert(offsetof(struct sk_udp_peer, local_port) == 6, "sk_udp_peer.local_port");
_Static_assert(sizeof(struct sk_udp_peer) == 8, "sk_udp_peer");
#endif

/* What sk_net_recv tells of a datagram. Its address can be given to sk_net_send
 * as that of its peer. */
struct sk_udp_info {
    struct sk_udp_peer peer;    /* where it came from, and to which port */
    uint32_t len;               /* bytes it had */
    uint32_t flags;             /* SK_UDP_... */
};
#if __SIZEOF_POINTER__ == 4
_Static_assert(offsetof(struct sk_udp_info, peer) == 0, "sk_udp_info.peer");
_Static_assert(offsetof(struct sk_udp_info, len) == 8, "sk_udp_info.len");
_Static_assert(offsetof(struct sk_udp_info, flags) == 12, "sk_udp_info.flags");
_Static_assert(sizeof(struct sk_udp_info) == 16, "sk_udp_info");
#endif

/* The arguments of sk_net_recv_until. */
struct sk_udp_recv {
    uint64_t deadline_us;       /* until when, on the clock of sk_time_now() */
    void *buf;                  /* where the datagram goes */
    uint32_t len;               /* room in bytes */
    struct sk_udp_info *info;   /* or NULL */
    uint32_t reserved;          /* 0 */
};
#if __SIZEOF_POINTER__ == 4
_Static_assert(offsetof(struct sk_udp_recv, deadline_us) == 0, "sk_udp_recv.deadline_us");
_Static_assert(offsetof(struct sk_udp_recv, buf) == 8, "sk_udp_recv.buf");
_Static_assert(offsetof(struct sk_udp_recv, len) == 12, "sk_udp_recv.len");
_Static_assert(offsetof(struct sk_udp_recv, info) == 16, "sk_udp_recv.info");
_Static_assert(offsetof(struct sk_udp_recv, reserved) == 20, "sk_udp_recv.reserved");
_Static_assert(sizeof(struct sk_udp_recv) == 24, "sk_udp_recv");
#endif

/* What sk_net_addresses writes. */
struct sk_addresses {
    uint8_t ip[4];              /* the board's address */
    uint8_t mask[4];            /* its network's */
    uint8_t gateway[4];         /* the default router, 0.0.0.0 for none */
    uint8_t mac[6];             /* the station address */
    uint8_t prefix;             /* ones in mask */
    uint8_t flags;              /* SK_ADDRESSES_... */
};
#if __SIZEOF_POINTER__ == 4
_Static_assert(offsetof(struct sk_addresses, ip) == 0, "sk_addresses.ip");
_Static_assert(offsetof(struct sk_addresses, mask) == 4, "sk_addresses.mask");
_Static_assert(offsetof(struct sk_addresses, gateway) == 8, "sk_addresses.gateway");
_Static_assert(offsetof(struct sk_addresses, mac) == 12, "sk_addresses.mac");
_Static_assert(offsetof(struct sk_addresses, prefix) == 18, "sk_addresses.prefix");
_Static_assert(offsetof(struct sk_addresses, flags) == 19, "sk_addresses.flags");
_Static_assert(sizeof(struct sk_addresses) == 20, "sk_addresses");
#endif

/* An entry of the ARP table. */
struct sk_neighbour {
    uint8_t ip[4];              /* its address */
    uint8_t mac[6];             /* its adapter */
    uint16_t reserved;          /* 0 */
    uint32_t age_ms;            /* since it was last heard of */
};
#if __SIZEOF_POINTER__ == 4
_Static_assert(offsetof(struct sk_neighbour, ip) == 0, "sk_neighbour.ip");
_Static_assert(offsetof(struct sk_neighbour, mac) == 4, "sk_neighbour.mac");
_Static_assert(offsetof(struct sk_neighbour, reserved) == 10, "sk_neighbour.reserved");
_Static_assert(offsetof(struct sk_neighbour, age_ms) == 12, "sk_neighbour.age_ms");
_Static_assert(sizeof(struct sk_neighbour) == 16, "sk_neighbour");
#endif

/* Ids of the services: FNV-1a of the name. */
#define SK_ID_TASK_INFO          0x50de6bbeu /* task.info/1 */
#define SK_ID_TASK_EXIT          0xbcd147a6u /* task.exit/1 */
#define SK_ID_TASK_YIELD         0x06d496bfu /* task.yield/1 */
#define SK_ID_TASK_BEAT          0xb2f58ad6u /* task.beat/1 */
#define SK_ID_TASK_REMAINING     0xc835106eu /* task.remaining/1 */
#define SK_ID_TASK_SHOULD_STOP   0xed69108au /* task.should_stop/1 */
#define SK_ID_TASK_ABORT         0xb7c418b4u /* task.abort/1 */
#define SK_ID_TASK_SYNC_CODE     0x060303dfu /* task.sync_code/1 */
#define SK_ID_IO_READ            0xd582c395u /* io.read/1 */
#define SK_ID_IO_WRITE           0xe0c34520u /* io.write/1 */
#define SK_ID_IO_ERROR           0x85e0a509u /* io.error/1 */
#define SK_ID_IO_LOG             0xf6186059u /* io.log/1 */
#define SK_ID_MEM_ALLOC          0x58e4b1ddu /* mem.alloc/1 */
#define SK_ID_MEM_CALLOC         0xc10a8e4au /* mem.calloc/1 */
#define SK_ID_MEM_REALLOC        0x8d19c19au /* mem.realloc/1 */
#define SK_ID_MEM_FREE           0x5a53c816u /* mem.free/1 */
#define SK_ID_MEM_SIZE           0x77653e01u /* mem.size/1 */
#define SK_ID_MEM_USED           0x938dc50du /* mem.used/1 */
#define SK_ID_MEM_PEAK           0xc8c6b62fu /* mem.peak/1 */
#define SK_ID_TIME_NOW           0x81fd4b66u /* time.now/1 */
#define SK_ID_TIME_SLEEP_UNTIL   0x6d721222u /* time.sleep_until/1 */
#define SK_ID_TIME_CYCLES        0x10fd5449u /* time.cycles/1 */
#define SK_ID_NET_BIND           0xe9f9c261u /* net.bind/1 */
#define SK_ID_NET_RECV           0xd7c7b2beu /* net.recv/1 */
#define SK_ID_NET_RECV_UNTIL     0x853775c5u /* net.recv_until/1 */
#define SK_ID_NET_SEND           0x7174df94u /* net.send/1 */
#define SK_ID_NET_ADDRESSES      0x931de96au /* net.addresses/1 */
#define SK_ID_NET_ARP            0xb446b89fu /* net.arp/1 */
#define SK_ID_NET_CLOSE          0x4e422936u /* net.close/1 */

/* The author's entry is `int main(int argc, char **argv)` or `int main(void)`.
 * argv[0] is the empty string, argv[1] the first argument, argv[argc] is NULL;
 * the strings are on the stack and may be changed. What it returns is the exit
 * code. */

/* What the task was told at entry. Set before main by the runtime. */
extern const struct sk_task_info *sk_info __attribute__((visibility("hidden")));

/* The bytes sent with the payload: read-only, there as long as the task. */
static inline const void *sk_input(void)
{
    return (const void *)(uintptr_t)sk_info->input;
}

/* How many. */
static inline uint32_t sk_input_len(void)
{
    return sk_info->input_len;
}

/* Makes the stack another than SK_STACK_DEFAULT. Once, outside functions:
 * SK_STACK(64 * 1024); a multiple of SK_STACK_UNIT, at most SK_STACK_MAX. */
#define SK_STACK(bytes)                                                             \
    _Static_assert((bytes) > 0 && (bytes) <= SK_STACK_MAX && (bytes) % SK_STACK_UNIT == 0, \
                   "a stack is a multiple of 256 bytes, at most 16 MiB");           \
    static const uint32_t sk_stack __attribute__((used, section(".sk.stack"))) = (bytes)

/* The resolver: from SK_ID_... to the address of the code, NULL for a service
 * that this board does not have or does not grant. Set before main. */
typedef const void *(*sk_resolver)(uint32_t id);
extern sk_resolver sk_resolve __attribute__((visibility("hidden")));

/* Adds an id to the list of imports. */
#define SK_IMPORT(id)                                                               \
    __asm__ volatile(".pushsection .sk.imports,\"\",%%progbits\n\t.4byte %c0\n\t.popsection" \
                     : : "i"(id))

/* task.info/1: Address of the task's TaskInfo. */
static inline const struct sk_task_info *sk_task_info(void)
{
    static const struct sk_task_info *(*sk_code)(void);
    SK_IMPORT(SK_ID_TASK_INFO);
    if (!sk_code)
        sk_code = (const struct sk_task_info *(*)(void))(uintptr_t)sk_resolve(SK_ID_TASK_INFO);
    return sk_code();
}

/* task.exit/1: Ends the task with an exit code. */
__attribute__((noreturn)) static inline void sk_task_exit(int32_t code)
{
    static void (*sk_code)(int32_t);
    SK_IMPORT(SK_ID_TASK_EXIT);
    if (!sk_code)
        sk_code = (void (*)(int32_t))(uintptr_t)sk_resolve(SK_ID_TASK_EXIT);
    sk_code(code);
    __builtin_unreachable();
}

/* task.yield/1: Lets the kernel do what is due, then goes on. */
static inline void sk_task_yield(void)
{
    static void (*sk_code)(void);
    SK_IMPORT(SK_ID_TASK_YIELD);
    if (!sk_code)
        sk_code = (void (*)(void))(uintptr_t)sk_resolve(SK_ID_TASK_YIELD);
    sk_code();
}

/* task.beat/1: A sign of life, for tasks that promised some. */
static inline void sk_task_beat(void)
{
    static void (*sk_code)(void);
    SK_IMPORT(SK_ID_TASK_BEAT);
    if (!sk_code)
        sk_code = (void (*)(void))(uintptr_t)sk_resolve(SK_ID_TASK_BEAT);
    sk_code();
}

/* task.remaining/1: Microseconds until the deadline; 0 when it has passed. */
static inline uint64_t sk_task_remaining(void)
{
    static uint64_t (*sk_code)(void);
    SK_IMPORT(SK_ID_TASK_REMAINING);
    if (!sk_code)
        sk_code = (uint64_t (*)(void))(uintptr_t)sk_resolve(SK_ID_TASK_REMAINING);
    return sk_code();
}

/* task.should_stop/1: 1 when the task should come to an end: it was told to, or its time is almost over; else 0. */
static inline uint32_t sk_task_should_stop(void)
{
    static uint32_t (*sk_code)(void);
    SK_IMPORT(SK_ID_TASK_SHOULD_STOP);
    if (!sk_code)
        sk_code = (uint32_t (*)(void))(uintptr_t)sk_resolve(SK_ID_TASK_SHOULD_STOP);
    return sk_code();
}

/* task.abort/1: Ends the task as failed, with a message for the client. */
__attribute__((noreturn)) static inline void sk_task_abort(const void *message, uint32_t len)
{
    static void (*sk_code)(const void *, uint32_t);
    SK_IMPORT(SK_ID_TASK_ABORT);
    if (!sk_code)
        sk_code = (void (*)(const void *, uint32_t))(uintptr_t)sk_resolve(SK_ID_TASK_ABORT);
    sk_code(message, len);
    __builtin_unreachable();
}

/* task.sync_code/1: Makes code that was written to memory fit to be executed. */
static inline void sk_task_sync_code(const void *start, uint32_t len)
{
    static void (*sk_code)(const void *, uint32_t);
    SK_IMPORT(SK_ID_TASK_SYNC_CODE);
    if (!sk_code)
        sk_code = (void (*)(const void *, uint32_t))(uintptr_t)sk_resolve(SK_ID_TASK_SYNC_CODE);
    sk_code(start, len);
}

/* io.read/1: Copies the next bytes of the input; how many, 0 at its end. */
static inline uint32_t sk_io_read(void *buf, uint32_t len)
{
    static uint32_t (*sk_code)(void *, uint32_t);
    SK_IMPORT(SK_ID_IO_READ);
    if (!sk_code)
        sk_code = (uint32_t (*)(void *, uint32_t))(uintptr_t)sk_resolve(SK_ID_IO_READ);
    return sk_code(buf, len);
}

/* io.write/1: Appends all the bytes to the task's output; how many. */
static inline uint32_t sk_io_write(const void *buf, uint32_t len)
{
    static uint32_t (*sk_code)(const void *, uint32_t);
    SK_IMPORT(SK_ID_IO_WRITE);
    if (!sk_code)
        sk_code = (uint32_t (*)(const void *, uint32_t))(uintptr_t)sk_resolve(SK_ID_IO_WRITE);
    return sk_code(buf, len);
}

/* io.error/1: Appends all the bytes to the task's error stream; how many. */
static inline uint32_t sk_io_error(const void *buf, uint32_t len)
{
    static uint32_t (*sk_code)(const void *, uint32_t);
    SK_IMPORT(SK_ID_IO_ERROR);
    if (!sk_code)
        sk_code = (uint32_t (*)(const void *, uint32_t))(uintptr_t)sk_resolve(SK_ID_IO_ERROR);
    return sk_code(buf, len);
}

/* io.log/1: One line of UTF-8 text for the board's log, cut at 120 bytes. */
static inline void sk_io_log(const void *text, uint32_t len)
{
    static void (*sk_code)(const void *, uint32_t);
    SK_IMPORT(SK_ID_IO_LOG);
    if (!sk_code)
        sk_code = (void (*)(const void *, uint32_t))(uintptr_t)sk_resolve(SK_ID_IO_LOG);
    sk_code(text, len);
}

/* mem.alloc/1: A block of the task's heap; align is 0 (8) or a power of two up to 4096. Null: no room. */
static inline void *sk_mem_alloc(uint32_t size, uint32_t align)
{
    static void *(*sk_code)(uint32_t, uint32_t);
    SK_IMPORT(SK_ID_MEM_ALLOC);
    if (!sk_code)
        sk_code = (void *(*)(uint32_t, uint32_t))(uintptr_t)sk_resolve(SK_ID_MEM_ALLOC);
    return sk_code(size, align);
}

/* mem.calloc/1: A zeroed block of count * size bytes. Null: no room. */
static inline void *sk_mem_calloc(uint32_t count, uint32_t size)
{
    static void *(*sk_code)(uint32_t, uint32_t);
    SK_IMPORT(SK_ID_MEM_CALLOC);
    if (!sk_code)
        sk_code = (void *(*)(uint32_t, uint32_t))(uintptr_t)sk_resolve(SK_ID_MEM_CALLOC);
    return sk_code(count, size);
}

/* mem.realloc/1: Changes a block's size, moving it if need be; null block: as alloc. Null: no room, the block stays. */
static inline void *sk_mem_realloc(void *block, uint32_t size, uint32_t align)
{
    static void *(*sk_code)(void *, uint32_t, uint32_t);
    SK_IMPORT(SK_ID_MEM_REALLOC);
    if (!sk_code)
        sk_code = (void *(*)(void *, uint32_t, uint32_t))(uintptr_t)sk_resolve(SK_ID_MEM_REALLOC);
    return sk_code(block, size, align);
}

/* mem.free/1: Gives a block back; null does nothing. */
static inline void sk_mem_free(void *block)
{
    static void (*sk_code)(void *);
    SK_IMPORT(SK_ID_MEM_FREE);
    if (!sk_code)
        sk_code = (void (*)(void *))(uintptr_t)sk_resolve(SK_ID_MEM_FREE);
    sk_code(block);
}

/* mem.size/1: Bytes of the task's heap. */
static inline uint32_t sk_mem_size(void)
{
    static uint32_t (*sk_code)(void);
    SK_IMPORT(SK_ID_MEM_SIZE);
    if (!sk_code)
        sk_code = (uint32_t (*)(void))(uintptr_t)sk_resolve(SK_ID_MEM_SIZE);
    return sk_code();
}

/* mem.used/1: Bytes of it in use now, bookkeeping included. */
static inline uint32_t sk_mem_used(void)
{
    static uint32_t (*sk_code)(void);
    SK_IMPORT(SK_ID_MEM_USED);
    if (!sk_code)
        sk_code = (uint32_t (*)(void))(uintptr_t)sk_resolve(SK_ID_MEM_USED);
    return sk_code();
}

/* mem.peak/1: The most that was ever in use. */
static inline uint32_t sk_mem_peak(void)
{
    static uint32_t (*sk_code)(void);
    SK_IMPORT(SK_ID_MEM_PEAK);
    if (!sk_code)
        sk_code = (uint32_t (*)(void))(uintptr_t)sk_resolve(SK_ID_MEM_PEAK);
    return sk_code();
}

/* time.now/1: Microseconds since the board started. */
static inline uint64_t sk_time_now(void)
{
    static uint64_t (*sk_code)(void);
    SK_IMPORT(SK_ID_TIME_NOW);
    if (!sk_code)
        sk_code = (uint64_t (*)(void))(uintptr_t)sk_resolve(SK_ID_TIME_NOW);
    return sk_code();
}

/* time.sleep_until/1: Waits until time.now reaches a value. */
static inline void sk_time_sleep_until(uint64_t us)
{
    static void (*sk_code)(uint64_t);
    SK_IMPORT(SK_ID_TIME_SLEEP_UNTIL);
    if (!sk_code)
        sk_code = (void (*)(uint64_t))(uintptr_t)sk_resolve(SK_ID_TIME_SLEEP_UNTIL);
    sk_code(us);
}

/* time.cycles/1: The core's cycle counter (wraps; means nothing in an emulator). */
static inline uint32_t sk_time_cycles(void)
{
    static uint32_t (*sk_code)(void);
    SK_IMPORT(SK_ID_TIME_CYCLES);
    if (!sk_code)
        sk_code = (uint32_t (*)(void))(uintptr_t)sk_resolve(SK_ID_TIME_CYCLES);
    return sk_code();
}

/* net.bind/1: Takes the datagrams for a UDP port, 0: any free one; which. Flag 1: for all ports but the kernel's; 0. */
static inline int32_t sk_net_bind(uint32_t port, uint32_t flags)
{
    static int32_t (*sk_code)(uint32_t, uint32_t);
    SK_IMPORT(SK_ID_NET_BIND);
    if (!sk_code)
        sk_code = (int32_t (*)(uint32_t, uint32_t))(uintptr_t)sk_resolve(SK_ID_NET_BIND);
    return sk_code(port, flags);
}

/* net.recv/1: Waits for a datagram and copies it; how many bytes. */
static inline int32_t sk_net_recv(void *buf, uint32_t len, struct sk_udp_info *info)
{
    static int32_t (*sk_code)(void *, uint32_t, struct sk_udp_info *);
    SK_IMPORT(SK_ID_NET_RECV);
    if (!sk_code)
        sk_code = (int32_t (*)(void *, uint32_t, struct sk_udp_info *))(uintptr_t)sk_resolve(SK_ID_NET_RECV);
    return sk_code(buf, len, info);
}

/* net.recv_until/1: As net.recv, but waits no longer than until a value of time.now. */
static inline int32_t sk_net_recv_until(const struct sk_udp_recv *args)
{
    static int32_t (*sk_code)(const struct sk_udp_recv *);
    SK_IMPORT(SK_ID_NET_RECV_UNTIL);
    if (!sk_code)
        sk_code = (int32_t (*)(const struct sk_udp_recv *))(uintptr_t)sk_resolve(SK_ID_NET_RECV_UNTIL);
    return sk_code(args);
}

/* net.send/1: Sends a datagram; 0. */
static inline int32_t sk_net_send(const struct sk_udp_peer *peer, const void *buf, uint32_t len)
{
    static int32_t (*sk_code)(const struct sk_udp_peer *, const void *, uint32_t);
    SK_IMPORT(SK_ID_NET_SEND);
    if (!sk_code)
        sk_code = (int32_t (*)(const struct sk_udp_peer *, const void *, uint32_t))(uintptr_t)sk_resolve(SK_ID_NET_SEND);
    return sk_code(peer, buf, len);
}

/* net.addresses/1: Writes the board's addresses; 0. */
static inline int32_t sk_net_addresses(struct sk_addresses *out)
{
    static int32_t (*sk_code)(struct sk_addresses *);
    SK_IMPORT(SK_ID_NET_ADDRESSES);
    if (!sk_code)
        sk_code = (int32_t (*)(struct sk_addresses *))(uintptr_t)sk_resolve(SK_ID_NET_ADDRESSES);
    return sk_code(out);
}

/* net.arp/1: Writes at most max entries of the ARP table; how many. */
static inline uint32_t sk_net_arp(struct sk_neighbour *out, uint32_t max)
{
    static uint32_t (*sk_code)(struct sk_neighbour *, uint32_t);
    SK_IMPORT(SK_ID_NET_ARP);
    if (!sk_code)
        sk_code = (uint32_t (*)(struct sk_neighbour *, uint32_t))(uintptr_t)sk_resolve(SK_ID_NET_ARP);
    return sk_code(out, max);
}

/* net.close/1: Gives a port back, 0: all of them; 0. */
static inline int32_t sk_net_close(uint32_t port)
{
    static int32_t (*sk_code)(uint32_t);
    SK_IMPORT(SK_ID_NET_CLOSE);
    if (!sk_code)
        sk_code = (int32_t (*)(uint32_t))(uintptr_t)sk_resolve(SK_ID_NET_CLOSE);
    return sk_code(port);
}

#endif
