//! `cargo xtask headers`: the C header of the SDK, from what the kernel and the
//! Rust SDK are compiled from.
//!
//! `payload-sdk/c/serverkernel.h` is checked in, because it is documentation
//! and because `sk` carries a copy; a test fails when it is not what this file
//! makes of sk-abi.

use std::fmt::{self, Write};
use std::fs;
use std::mem::offset_of;

use anyhow::{Context, Result};
use sk_abi::net::{self, Addresses, Neighbour, NetError, UdpInfo, UdpPeer, UdpRecv};
use sk_abi::service::c_type;
use sk_abi::{ABI_VERSION, SERVICES, Service, Status, TaskInfo, image, task};

use crate::repo::Repo;

/// Where it is, from the root of the repository.
const HEADER: &str = "payload-sdk/c/serverkernel.h";

/// Writes the header.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let path = repo.root.join(HEADER);
    let text = header().context("a service has no C form")?;
    fs::write(&path, text).with_context(|| format!("{}", path.display()))?;
    println!("{HEADER} written");
    Ok(())
}

/// A field of the task's information: offset, C type, name, what it says.
type Field = (usize, &'static str, &'static str, &'static str);

macro_rules! fields {
    ($($ty:literal $name:ident $text:literal,)*) => {
        &[$((offset_of!(TaskInfo, $name), $ty, stringify!($name), $text)),*]
    };
}

const FIELDS: &[Field] = fields! {
    "uint32_t" abi "SK_ABI_VERSION of the kernel",
    "uint32_t" size "bytes of this structure",
    "uint32_t" input "address of the input, read-only: sk_input()",
    "uint32_t" input_len "bytes of input",
    "uint32_t" args "address of the arguments: UTF-8, apart by one 0x00",
    "uint32_t" args_len "bytes of arguments",
    "uint32_t" region_start "the task's memory: lowest address",
    "uint32_t" region_end "and the first after it",
    "uint32_t" text "where address 0 of the ELF file went",
    "uint32_t" text_len "bytes of code and constants",
    "uint32_t" stack_start "lowest address of the stack; nothing is mapped below",
    "uint32_t" stack_end "the stack pointer at entry",
    "uint32_t" heap "what the mem services hand out",
    "uint32_t" heap_len "bytes of heap",
    "uint64_t" deadline_us "when the task will be ended, on the clock of sk_time_now()",
    "uint32_t" board_revision "revision code, as the firmware reports it",
    "uint32_t" cpu_mhz_max "highest clock of the core",
    "uint32_t" flags "SK_TASK_...",
    "uint32_t" reserved "0",
};

/// A structure of the net services: name, size, what it is, fields.
type Struct = (
    &'static str,
    usize,
    &'static str,
    &'static [(usize, &'static str, &'static str, &'static str)],
);

macro_rules! net_fields {
    ($of:ty: $($c:literal $name:ident $text:literal,)*) => {
        &[$((offset_of!($of, $name), $c, stringify!($name), $text)),*]
    };
}

/// In C, `@` stands for the field's name.
const STRUCTS: &[Struct] = &[
    (
        "sk_udp_peer",
        UdpPeer::SIZE,
        "The other end of an exchange, and this one's port.",
        net_fields! { UdpPeer:
            "uint8_t @[4]" ip "its IPv4 address",
            "uint16_t @" port "its port",
            "uint16_t @" local_port "the board's; to send: 0 for the one bound first",
        },
    ),
    (
        "sk_udp_info",
        UdpInfo::SIZE,
        "What sk_net_recv tells of a datagram. Its address can be given to sk_net_send\n * as that of its peer.",
        net_fields! { UdpInfo:
            "struct sk_udp_peer @" peer "where it came from, and to which port",
            "uint32_t @" len "bytes it had",
            "uint32_t @" flags "SK_UDP_...",
        },
    ),
    (
        "sk_udp_recv",
        UdpRecv::SIZE,
        "The arguments of sk_net_recv_until.",
        net_fields! { UdpRecv:
            "uint64_t @" deadline_us "until when, on the clock of sk_time_now()",
            "void *@" buf "where the datagram goes",
            "uint32_t @" len "room in bytes",
            "struct sk_udp_info *@" info "or NULL",
            "uint32_t @" reserved "0",
        },
    ),
    (
        "sk_addresses",
        Addresses::SIZE,
        "What sk_net_addresses writes.",
        net_fields! { Addresses:
            "uint8_t @[4]" ip "the board's address",
            "uint8_t @[4]" mask "its network's",
            "uint8_t @[4]" gateway "the default router, 0.0.0.0 for none",
            "uint8_t @[6]" mac "the station address",
            "uint8_t @" prefix "ones in mask",
            "uint8_t @" flags "SK_ADDRESSES_...",
        },
    ),
    (
        "sk_neighbour",
        Neighbour::SIZE,
        "An entry of the ARP table.",
        net_fields! { Neighbour:
            "uint8_t @[4]" ip "its address",
            "uint8_t @[6]" mac "its adapter",
            "uint16_t @" reserved "0",
            "uint32_t @" age_ms "since it was last heard of",
        },
    ),
];

/// The structures, bits and errors of the net services.
fn network(out: &mut String) -> fmt::Result {
    out.push_str("\n/* Numbers of the net services. */\n");
    for (name, value, text) in [
        ("NET_ANY", net::flags::ANY, "sk_net_bind: all ports but the kernel's"),
        ("UDP_TRUNCATED", net::flags::TRUNCATED, "the buffer was too short"),
        ("UDP_BROADCAST", net::flags::BROADCAST, "sent to more than this board"),
        ("ADDRESSES_LINK", net::flags::LINK.into(), "the cable is in"),
        ("ADDRESSES_VALID", net::flags::ADDRESS.into(), "ip is valid"),
        ("DATAGRAM_MAX", net::DATAGRAM_MAX, "bytes of a datagram"),
    ] {
        let (name, value) = (format!("SK_{name}"), format!("{value}u"));
        writeln!(out, "#define {name:<19} {value:<11} /* {text} */")?;
    }
    out.push_str("\n/* Why a net service did not do it: its result. */\nenum sk_net_error {\n");
    for error in NetError::ALL {
        let name = format!("SK_NET_{}", snake(&format!("{error:?}")));
        writeln!(out, "    {name:<19} = {:>3}, /* {} */", error.code(), error.text())?;
    }
    out.push_str("};\n");
    for (name, size, text, fields) in STRUCTS {
        writeln!(out, "\n/* {text} */\nstruct {name} {{")?;
        for (_, c, field, text) in *fields {
            writeln!(out, "    {:<28}/* {text} */", c.replace('@', field) + ";")?;
        }
        out.push_str("};\n");
        // Pointers are as wide as the board's only there.
        out.push_str("#if __SIZEOF_POINTER__ == 4\n");
        for (offset, _, field, _) in *fields {
            let check = format!("offsetof(struct {name}, {field}) == {offset}");
            writeln!(out, "_Static_assert({check}, \"{name}.{field}\");")?;
        }
        writeln!(out, "_Static_assert(sizeof(struct {name}) == {size}, \"{name}\");\n#endif")?;
    }
    Ok(())
}

/// `InUse` as `IN_USE`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

const HEAD: &str = r#"/* serverkernel.h: what a payload in C is given.
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
"#;

const ENTRY: &str = r#"
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
"#;

/// The header's text.
fn header() -> Result<String, fmt::Error> {
    let mut out = String::from(HEAD);
    let define = |out: &mut String, name: &str, value: &str, text: &str| {
        writeln!(out, "#define {:<19} {value:<11} /* {text} */", format!("SK_{name}"))
    };
    out.push_str("\n/* Versions and limits. */\n");
    for (name, value, text) in [
        ("ABI_VERSION", u32::from(ABI_VERSION), "of everything here"),
        ("STACK_UNIT", image::STACK_UNIT, "a stack is a multiple of it"),
        ("STACK_DEFAULT", image::STACK_DEFAULT, "bytes, unless SK_STACK or --stack says otherwise"),
        ("STACK_MAX", image::STACK_MAX, "bytes"),
        ("TEXT_MAX", image::TEXT_MAX, "bytes of code and constants"),
        ("DATA_MAX", image::DATA_MAX, "bytes of initialised data"),
        ("BSS_MAX", image::BSS_MAX, "bytes of zeroed data"),
        ("ARGS_MAX", task::ARGS_MAX, "bytes of arguments"),
        ("MESSAGE_MAX", task::MESSAGE_MAX as u32, "bytes kept of sk_task_abort's message"),
    ] {
        define(&mut out, name, &format!("{value}u"), text)?;
    }
    out.push_str("\n/* Bits of sk_task_info.flags. */\n");
    for (name, value, text) in [
        ("TASK_SHIELDED", task::flags::SHIELDED, "user mode, behind the MMU"),
        ("TASK_EMULATED", task::flags::EMULATED, "cycle counts mean nothing"),
    ] {
        define(&mut out, name, &format!("{value}u"), text)?;
    }

    out.push_str("\n/* How a task ended, as the client is told. */\nenum sk_status {\n");
    for status in Status::ALL {
        let name = format!("SK_STATUS_{}", status.name());
        writeln!(out, "    {name:<27} = {:#06x}, /* {} */", status.0, status.text())?;
    }
    out.push_str("};\n");

    out.push_str(
        "\n/* What a task is told at entry: read-only. Fields are only ever added at the\n \
         * end; `size` says how many bytes this kernel wrote. */\nstruct sk_task_info {\n",
    );
    for (_, ty, name, text) in FIELDS {
        writeln!(out, "    {ty} {:<16}/* {text} */", format!("{name};"))?;
    }
    out.push_str("};\n\n");
    for (offset, _, name, _) in FIELDS {
        let check = format!("offsetof(struct sk_task_info, {name}) == {offset},");
        writeln!(out, "_Static_assert({check} \"sk_task_info.{name}\");")?;
    }
    let size = task::TASK_INFO_SIZE;
    writeln!(out, "_Static_assert(sizeof(struct sk_task_info) == {size}, \"sk_task_info\");")?;

    network(&mut out)?;

    out.push_str("\n/* Ids of the services: FNV-1a of the name. */\n");
    for s in SERVICES {
        writeln!(out, "#define {:<24} {:#010x}u /* {} */", id(s), s.id, s.name)?;
    }
    out.push_str(ENTRY);
    for s in SERVICES {
        function(&mut out, s)?;
    }
    out.push_str("\n#endif\n");
    Ok(out)
}

fn id(s: &Service) -> String {
    format!("SK_ID_{}", s.function.to_uppercase())
}

/// A service as a function: looked up once, then called through a pointer.
fn function(out: &mut String, s: &Service) -> fmt::Result {
    let c = |rust| c_type(rust).ok_or(fmt::Error);
    let result = c(s.result)?;
    let mut types = Vec::new();
    for (_, rust) in s.params {
        types.push(c(rust)?);
    }
    let types = if types.is_empty() { "void".to_owned() } else { types.join(", ") };
    let names: Vec<&str> = s.params.iter().map(|(name, _)| *name).collect();
    let call = format!("sk_code({});", names.join(", "));
    let never = s.result == "Never";

    let text = s.text.replace('`', "");
    write!(out, "\n/* {}: {text} */\n", s.name)?;
    if never {
        out.push_str("__attribute__((noreturn)) ");
    }
    writeln!(out, "static inline {s}\n{{")?;
    let gap = if result.ends_with('*') { "" } else { " " };
    writeln!(out, "    static {result}{gap}(*sk_code)({types});")?;
    writeln!(out, "    SK_IMPORT({});", id(s))?;
    writeln!(out, "    if (!sk_code)")?;
    writeln!(
        out,
        "        sk_code = ({result}{gap}(*)({types}))(uintptr_t)sk_resolve({});",
        id(s)
    )?;
    match (result, never) {
        (_, true) => writeln!(out, "    {call}\n    __builtin_unreachable();")?,
        ("void", false) => writeln!(out, "    {call}")?,
        _ => writeln!(out, "    return {call}")?,
    }
    out.push_str("}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_one_checked_in() {
        let repo = Repo::find().unwrap();
        let checked_in = fs::read_to_string(repo.root.join(HEADER)).unwrap();
        let made = header().unwrap();
        let differs = made.lines().zip(checked_in.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "run `cargo xtask headers`");
        assert!(made == checked_in, "run `cargo xtask headers`");
    }

    #[test]
    fn no_field_is_missing() {
        let mut next = 0;
        for (offset, ty, name, _) in FIELDS {
            assert_eq!(*offset, next, "the field before {name}");
            next += if *ty == "uint64_t" { 8 } else { 4 };
        }
        assert_eq!(next, size_of::<TaskInfo>());
    }

    #[test]
    fn every_service_has_an_id_and_a_function() {
        let text = header().unwrap();
        for s in SERVICES {
            assert!(text.contains(&format!("{:#010x}u /* {} */", s.id, s.name)), "{}", s.name);
            assert!(text.contains(&format!("static inline {s}\n")), "{}", s.name);
        }
        let exit = text.find("void sk_task_exit(").unwrap();
        assert!(text[..exit].ends_with("__attribute__((noreturn)) static inline "));
    }
}
