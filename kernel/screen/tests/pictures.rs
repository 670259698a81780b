//! Pictures of what is on the screen, each with a number that stands for its
//! pixels. When one is meant to change, look at the new one (the test says where
//! it is) and take its number.

mod common;

use common::{Canvas, RGB16, RGB32, canvas, keep, picture};
use sk_screen::board::{self, Chip, Last, Section, Slot, State, Status};
use sk_screen::font::Size;
use sk_screen::grid::MAX_CELLS;
use sk_screen::{Color, Format, Grid, Screen, Surface};

fn status<'a>() -> Status<'a> {
    Status {
        name: "kitchen",
        version: "serverkernel 0.1.0",
        model: "Raspberry Pi Zero, 448 MiB, 1000 MHz",
        state: State::Idle,
        uptime: 93_784,
        address: Some([192, 168, 1, 42]),
        mac: [0xB8, 0x27, 0xEB, 0x34, 0x56, 0x78],
        fingerprint: *b"\x3f\x2a\x9c\x01\x77\xe0\x5d\x18\xaa\x42\x10\x09\xbe\xef\x61\x7c",
        last: Some(Last { who: "alice", task: 17, how: "success", well: true, millis: 1_240 }),
        memory: (312 * 1024, 384 * 1024),
        chip: Some(Chip { temperature: 52_312, under_voltage: false, throttled: false }),
        slots: &[
            Slot { name: "usb", worst: 41, budget: 200 },
            Slot { name: "net", worst: 1_260, budget: 1_500 },
            Slot { name: "session", worst: 3_004, budget: 4_000 },
            Slot { name: "console", worst: 103, budget: 100 },
            Slot { name: "health", worst: 96, budget: 200 },
        ],
        log: &[
            "0.412 usb: LAN9512 at port 1, 100 Mbit/s full duplex",
            "2.031 net: 192.168.1.42/24 by DHCP from 192.168.1.1",
            "2.032 ready",
            "61.200 session: alice from 192.168.1.10",
            "61.418 task 17: 12,340 bytes, shielded",
            "62.658 task 17: success, 16 bytes of output",
        ],
    }
}

type Shown<'g> = Screen<'g, Canvas, MAX_CELLS>;

fn screen(width: u16, height: u16, format: Format, draw: impl Fn(&mut Shown<'_>)) -> (u64, usize) {
    let mut grid = Box::new(Grid::<MAX_CELLS>::new());
    let mut screen = Screen::new(canvas(width, height, format), &mut grid);
    draw(&mut screen);
    let mut steps = 0;
    while !screen.step(10_000) {
        steps += 1;
        assert!(steps < 100_000, "it never ends");
    }
    let surface: &mut Surface<Canvas> = screen.surface().expect("cleared");
    let name = std::thread::current().name().unwrap_or("picture").to_owned();
    let name = format!("{name}-{width}x{height}-{}", format.depth.bits());
    (keep(&name, &picture(surface)), steps)
}

fn show(status: &Status<'_>, screen: &mut Shown<'_>) {
    for section in Section::ALL {
        board::lay_out(status, section, screen.grid);
    }
}

#[test]
fn board_idle() {
    let status = status();
    let sizes = [
        (640, 480, RGB16, 0x8656_4f49_4b0a_9bd5),
        (656, 416, RGB16, 0x9e1a_8b5d_819c_e435),
        (800, 600, RGB32, 0xa4a7_6f7a_2d90_cb55),
        (1024, 768, RGB16, 0x7a4c_e9dd_f867_7d9d),
        (1280, 720, RGB32, 0x218c_bbae_1734_8b8d),
        (1366, 768, RGB16, 0x0885_4cb5_5f46_bdf9),
        (1920, 1080, RGB16, 0x5ed7_d4f2_a69b_f739),
        (320, 200, RGB16, 0xc6d2_a410_1859_73a3),
    ];
    check(&sizes, |screen| show(&status, screen));
}

#[test]
fn board_in_trouble() {
    let log = ["line"; 60];
    let status = Status {
        name: "a name that is much longer than any title has room for, really",
        state: State::Fault,
        address: None,
        last: Some(Last {
            who: "mallory",
            task: u32::MAX,
            how: "access to memory of the kernel or to a device",
            well: false,
            millis: u32::MAX,
        }),
        memory: (3, 400_000),
        chip: Some(Chip { temperature: 84_900, under_voltage: true, throttled: true }),
        slots: &[Slot { name: "a long name", worst: u32::MAX, budget: 0 }; 20],
        log: &log,
        uptime: u32::MAX,
        ..status()
    };
    check(
        &[(640, 480, RGB32, 0x150e_aab3_0bb7_8879), (1280, 720, RGB16, 0x2c87_149b_e76f_7749)],
        |screen| show(&status, screen),
    );
}

#[test]
fn text_in_all_sizes_and_colors() {
    let draw = |screen: &mut Shown<'_>| {
        screen.take();
        let paint = [0xFF_FFFF, 0xFF_5050, 0x50_FF50, 0x50_A0FF, 0xFF_FF50, 0x50_FFFF, 0xFF_50FF];
        for (size, text) in [(Size::Small, "small"), (Size::Large, "large"), (Size::Huge, "huge")] {
            screen.console.size = size;
            for (index, color) in paint.iter().enumerate() {
                screen.console.ink = Color(*color);
                screen.console.paper = Color(if index % 2 == 0 { 0 } else { 0x303848 });
                screen.write(text.as_bytes());
            }
            screen.write(b"\n");
        }
        (screen.console.ink, screen.console.paper) = (Color::WHITE, Color::BLACK);
        screen.console.size = Size::Small;
        let ascii: Vec<u8> = (b' '..=b'~').collect();
        screen.write(&ascii);
        screen.write("\n°±µ·×…─│┌┐└┘├┤┬┴┼█▌■ \u{1F600}\n".as_bytes());
        screen.write(b"a\tb\tc\r\nbad utf-8: \xC3( \xFF\n");
        screen.console.size = Size::Large;
        screen.write(&ascii);
        screen.console.size = Size::Huge;
        screen.write(b"\nRg&@8 s");
    };
    check(&[(640, 480, RGB16, 0x8125_bbb2_8dd8_f973)], draw);
}

/// Draws on screens of several sizes and compares numbers.
fn check(sizes: &[(u16, u16, Format, u64)], draw: impl Fn(&mut Shown<'_>)) {
    let mut wrong = Vec::new();
    for (width, height, format, golden) in sizes {
        let (hash, _) = screen(*width, *height, *format, &draw);
        if hash != *golden {
            wrong.push(format!("{width}x{height}: {hash:#018x}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
