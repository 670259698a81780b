//! The files of a card that are words: `config.txt` for the firmware, a page
//! for people.

use super::{BLOB, Model};

/// Where the configuration is loaded: above the kernel, its stacks and page
/// tables, inside the memory of the smallest board.
const BLOB_ADDRESS: u32 = 0x0200_0000;

/// What the texts tell of a card.
pub(crate) struct Facts<'a> {
    pub(crate) model: Model,
    pub(crate) name: &'a str,
    /// The board's key, in short.
    pub(crate) id: &'a str,
    /// How it gets its address, in words.
    pub(crate) address: &'a str,
    pub(crate) kernel_bytes: usize,
}

/// `config.txt`. The firmware's documentation asks for short lines; these stay
/// below 80 characters.
pub(crate) fn config_txt(model: Model) -> String {
    let uart = match model {
        Model::ZeroW => {
            "\
# The serial port on pins 8 and 10, 115200 baud. On this board the firmware
# gives those pins the mini UART and holds the core clock at 250 MHz for it;
# the kernel takes the pins back for the PL011. When the board is known to
# boot, delete this line and uart_2ndstage: the core clock is free then.
enable_uart=1
"
        }
        _ => {
            "\
# The serial port on pins 8 and 10, 115200 baud. It is on without this line
# too; the line says that it is wanted.
enable_uart=1
"
        }
    };
    format!(
        "\
# {board}: what the firmware does before serverkernel runs.
# The kernel does not read this file. Every line is at most 80 characters.

# The kernel, loaded at 0x8000 as it is.
kernel=kernel.img

# No device tree: the firmware describes the board in a list of tags (ATAGs).
# Do not add disable_commandline_tags: the kernel could not find its
# configuration.
device_tree=

# The board's keys and settings; this line has no equals sign. The address is
# above the kernel and all it needs while it starts, on boards of 256 MiB too.
initramfs {BLOB} {BLOB_ADDRESS:#010x}

# Memory of the GPU in MiB. 16 is the least and makes the firmware load
# start_cd.elf and fixup_cd.dat; more needs start.elf and fixup.dat.
gpu_mem=16

{uart}\
# The firmware writes a log of its own to that port. Delete the line when the
# board is known to boot: the log takes time.
uart_2ndstage=1

# No rainbow, no second of waiting for slow cards.
disable_splash=1
boot_delay=0

# Nothing on arm_freq and force_turbo: the kernel asks for the highest clock
# while it has a task, and for the lowest when it has none.
",
        board = model.name()
    )
}

/// `README.txt`.
pub(crate) fn readme(facts: &Facts<'_>) -> String {
    let Facts { model, name, id, address, kernel_bytes } = facts;
    let board = model.name();
    let network = model.network();
    format!(
        "\
serverkernel {version} for {name}, a {board}
{line}

The board with this card is the board {name} (id {id}).
Its address is {address}. The card holds the board's secret keys: who can
read it can pretend to be the board. Two boards with copies of one card are one
board to everybody who talks to them; make each its own card.

{network}
The serial port is on pins 8 (TX) and 10 (RX) of the header, 115200 baud, 8N1,
3.3 volts, ground on pin 6.

    sk scan
    sk run --board {name} FILE

kernel.img        the kernel, {kernel_bytes} bytes; to update, replace the file
{BLOB}  keys, clients, network settings; sk image makes it
config.txt        what the firmware does, line by line
bootcode.bin, start_cd.elf, fixup_cd.dat, and if they were to be had
start.elf, fixup.dat
                  the firmware of the Raspberry Pi, unmodified, only for use
                  with one; under the terms of LICENCE.broadcom
LICENSE-MIT, LICENSE-APACHE
                  terms of kernel.img: one of the two, as you like
",
        version = env!("CARGO_PKG_VERSION"),
        line = "=".repeat(24 + name.len() + board.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODELS: [Model; 4] = [Model::Zero, Model::ZeroW, Model::OneB, Model::OneBPlus];

    #[test]
    fn lines_are_short_enough_for_the_firmware() {
        for model in MODELS {
            for line in config_txt(model).lines() {
                assert!(line.len() < 80 && line.is_ascii(), "{line}");
            }
        }
    }

    #[test]
    fn what_the_firmware_is_told() {
        for model in MODELS {
            let text = config_txt(model);
            let said = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            assert_eq!(
                said.collect::<Vec<_>>(),
                [
                    "kernel=kernel.img",
                    "device_tree=",
                    "initramfs serverkernel.cfg 0x02000000",
                    "gpu_mem=16",
                    "enable_uart=1",
                    "uart_2ndstage=1",
                    "disable_splash=1",
                    "boot_delay=0",
                ]
            );
        }
    }
}
