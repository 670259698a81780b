//! Exit codes, cures and sentences for how tasks and sessions end.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use sk_abi::Status;
use sk_abi::status::FaultRecord;
use sk_wire::Roles;

use super::{Aborted, Ended, exit};

/// Did the task, rather than the board, cause the refusal?
pub(super) fn rejection_code(status: Status) -> u8 {
    let by_task = [
        Status::AUTHOR_SIG,
        Status::ROLE,
        Status::QUOTA,
        Status::TOO_BIG,
        Status::TIME_TOO_LONG,
        Status::FORMAT,
        Status::ABI,
        Status::SYMBOLS_DIGEST,
        Status::PERIPHERAL,
    ];
    if status.0 >> 8 == 4 || by_task.contains(&status) { exit::REJECTED } else { exit::BOARD }
}

pub(super) fn rejected_help(status: Status) -> Option<&'static str> {
    Some(match status {
        Status::ABI | Status::FORMAT | Status::SYMBOLS_DIGEST => {
            "build it again with the tools of the kernel's release"
        }
        Status::UNRESOLVED => {
            "`sk inspect` lists what it needs; the board's configuration may withhold services"
        }
        Status::ROLE => {
            "it was built to run without the shield: `sk run --direct`, if this client has the role"
        }
        Status::QUOTA => "so many tasks an hour are this client's; wait for the next hour",
        Status::TOO_BIG => "ask for less: --mem, --stack, --max-output",
        Status::TIME_TOO_LONG => "ask for less: --timeout",
        Status::HEADER
        | Status::SEGMENT
        | Status::RELOC
        | Status::ENTRY
        | Status::OVERLAP
        | Status::WX => "build it again; `sk inspect` shows what is in it",
        _ => return None,
    })
}

/// The number of the signal that a Unix process would have got.
pub(super) fn ending_code(status: Status) -> u8 {
    let signal = match status {
        Status::WALL_DEADLINE | Status::CPU_LIMIT | Status::HEARTBEAT => return exit::TIMEOUT,
        Status::ABORTED_OWNER | Status::ABORTED_OPERATOR => 15,
        Status::UNDEF => 4,
        Status::BKPT => 5,
        Status::PANIC => 6,
        Status::ALIGNMENT => 7,
        Status::DIV_ZERO | Status::VFP => 8,
        // What is left of ranges 6 and 7 is the payload's own doing too.
        Status(code) if matches!(code >> 8, 6 | 7) => 11,
        _ => return exit::BOARD,
    };
    exit::SIGNAL + signal
}

pub(super) fn ended_help(status: Status) -> Option<&'static str> {
    Some(match status {
        Status::WALL_DEADLINE => "allow it more: --timeout 1m",
        Status::CPU_LIMIT => "allow it more: --cpu-time 1m",
        Status::HEARTBEAT => "have it call task.beat more often, or allow it more: --heartbeat 10s",
        Status::OUT_OF_MEMORY => "allow it more: --mem 16M",
        Status::OUTPUT_LIMIT => "allow it more: --max-output 16M",
        Status::STACK => "allow it more: --stack 256K",
        Status::KERNEL_BUG => {
            "this is a fault of the kernel, not of the payload; its serial port says more"
        }
        status if status.is_fault() => "--registers shows all registers",
        _ => return None,
    })
}

/// How a task ended, in one sentence.
pub(super) fn ending(ended: &Ended) -> String {
    let Ended { board, wall, .. } = ended;
    let receipt = &ended.report.receipt;
    let status = receipt.status();
    let mut text = match status {
        Status::WALL_DEADLINE => match wall {
            Some(wall) => format!(
                "the payload was still running on {board} when its {} were over",
                in_seconds(*wall)
            ),
            None => format!(
                "the payload was still running on {board} when the board's limit of time was over"
            ),
        },
        Status::PANIC => format!("the payload panicked on {board}"),
        Status::ABORTED_OWNER => {
            format!("the payload was ended on {board} by another program of its owner")
        }
        Status::ABORTED_OPERATOR => format!("the payload was ended on {board} by an operator"),
        status if status.is_fault() => {
            format!("the payload failed on {board}: {} ({})", status.text(), status.name())
        }
        status => format!("the payload was ended on {board}: {}", status.text()),
    };
    if let Some(fault) = ended.fault() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", place(status, fault));
    }
    if !receipt.message.is_empty() {
        let _ = write!(text, ": {}", receipt.message.as_str());
    }
    text
}

/// Largest distance of an instruction from the start of its image.
const IMAGE_MAX: u32 = sk_abi::image::TEXT_MAX;

/// Where it happened.
fn place(status: Status, fault: &FaultRecord) -> String {
    let touched = match status {
        Status::DATA_ABORT | Status::ALIGNMENT | Status::KERNEL_ACCESS | Status::STACK => {
            format!(", touching {:#010x}", fault.far)
        }
        _ => String::new(),
    };
    match fault.pc.checked_sub(fault.base) {
        Some(offset) if offset < IMAGE_MAX => {
            format!("{touched} at offset {offset:#x} of the image")
        }
        _ => format!("{touched} at {:#010x}, outside the image", fault.pc),
    }
}

pub(super) fn aborted(how: Aborted) -> &'static str {
    match how {
        Aborted::BeforeStart => "nothing was started",
        Aborted::OnBoard => "the task was ended on the board",
        Aborted::Unconfirmed => "the board did not confirm that the task was ended",
    }
}

pub(super) fn because(trouble: Option<&io::Error>) -> String {
    trouble.map_or_else(String::new, |error| format!(" ({error})"))
}

pub(super) fn seconds(ms: u32) -> String {
    in_seconds(Duration::from_millis(ms.into()))
}

fn in_seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds.fract() == 0.0 { format!("{seconds:.0} s") } else { format!("{seconds:.1} s") }
}

pub(super) fn roles(granted: Roles) -> String {
    let all = [
        (Roles::OBSERVE, "observe"),
        (Roles::SUBMIT, "submit"),
        (Roles::OPERATE, "operate"),
        (Roles::AUDIT, "audit"),
        (Roles::DIRECT, "direct"),
    ];
    let names: Vec<&str> =
        all.into_iter().filter(|(role, _)| granted.contains(*role)).map(|(_, name)| name).collect();
    match names.as_slice() {
        [] => " of a stranger".into(),
        [one] => format!(" {one}"),
        many => format!("s {}", many.join(", ")),
    }
}

/// What detail and message add to a refusal.
pub(super) fn addition(status: Status, detail: u32, message: &str) -> String {
    let mut text = match (status, detail) {
        (Status::UNRESOLVED, id) => match sk_abi::service::by_id(id) {
            Some(service) => format!(" ({})", service.name),
            None => format!(" (number {id:08x})"),
        },
        (Status::TOO_BIG, bytes) if bytes != 0 => format!(" ({bytes} bytes are available)"),
        _ => String::new(),
    };
    if !message.is_empty() {
        let _ = write!(text, " ({message})");
    }
    text
}
