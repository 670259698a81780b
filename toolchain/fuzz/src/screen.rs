//! What ends up on the screen: pictures, formats and text of a payload, and the
//! firmware's answer to the question for a framebuffer.

use rpi_mbox::{MessageError, Request, Response};
use sk_screen::bmp::Bmp;
use sk_screen::printf::{self, Args, Out};
use sk_screen::setup::{MESSAGE, Step, Wish};
use sk_screen::surface::Geometry;
use sk_screen::{Color, Console, Depth, Format, Grid, Order, Setup, Sink, Surface};

use crate::bytes::Bytes;

const WIDTH: u16 = 90;
const HEIGHT: u16 = 50;

struct Canvas(Vec<u8>);

impl Sink for Canvas {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        // Panics beyond the end.
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

fn canvas() -> Surface<Canvas> {
    let format = Format { depth: Depth::Bits16, order: Order::Rgb };
    let pitch = usize::from(WIDTH) * 2 + 6;
    let canvas = Canvas(vec![0; pitch * usize::from(HEIGHT)]);
    let geometry = Geometry { width: WIDTH, height: HEIGHT, pitch: pitch as u32, format };
    Surface::new(canvas, geometry).expect("a surface")
}

/// A file, after three bytes of where it is drawn and how fast.
pub(crate) fn bmp(data: &[u8]) {
    let mut bytes = Bytes(data);
    let at = (i32::from(bytes.byte() as i8), i32::from(bytes.byte() as i8));
    let budget = u32::from(bytes.byte());
    let Ok(bmp) = Bmp::parse(bytes.0) else { return };
    assert!(bmp.width > 0 && bmp.height > 0, "a picture of nothing");
    let mut surface = canvas();
    let mut row = 0;
    while row < bmp.height {
        let next = bmp.draw(bytes.0, &mut surface, at, row, budget);
        assert!(next > row && next <= bmp.height, "it does not go on");
        row = next;
    }
    // The file may change once it was checked.
    let _ = bmp.draw(bytes.0.get(20..).unwrap_or_default(), &mut surface, at, 0, u32::MAX);
}

/// A format after its length, then arguments.
pub(crate) fn printf(data: &[u8]) {
    struct Given<'a>(Bytes<'a>);

    impl Args for Given<'_> {
        fn word(&mut self) -> Option<u32> {
            (!self.0.is_empty()).then(|| u32::from(self.0.word()) | u32::from(self.0.word()) << 16)
        }

        fn double_word(&mut self) -> Option<u64> {
            Some(u64::from(self.word()?) | u64::from(self.word().unwrap_or(0)) << 32)
        }

        fn string(&self, address: u32, most: u32) -> Option<&[u8]> {
            let text = self.0.0.get(address as usize % 64..)?;
            let text = text.split(|b| *b == 0).next()?;
            text.get(..text.len().min(most as usize))
        }
    }

    struct Count(usize);

    impl Out for Count {
        fn put(&mut self, bytes: &[u8]) {
            self.0 += bytes.len();
        }
    }

    let mut bytes = Bytes(data);
    let format = bytes.piece();
    let mut count = Count(0);
    let checked = printf::check(format);
    let result = printf::printf(format, &mut Given(bytes), &mut count);
    if let Err(error) = checked {
        assert!(result == Err(error) && count.0 == 0, "written in spite of {error:?}");
    }
    if let Ok(written) = result {
        assert_eq!(written as usize, count.0);
    }
}

/// Text in pieces, with sizes and places to go to between them.
pub(crate) fn text(data: &[u8]) {
    use sk_screen::font::Size;
    let (mut surface, mut console) = (canvas(), Console::default());
    let mut grid = Box::new(Grid::<64>::new());
    grid.resize(WIDTH, HEIGHT, Color::BLACK);
    let mut bytes = Bytes(data);
    while !bytes.is_empty() {
        match bytes.byte() {
            0 => console.size = Size::Small,
            1 => console.size = Size::Large,
            2 => console.size = Size::Huge,
            3 => console.go(bytes.word(), bytes.word()),
            4 => console.clear(&mut grid),
            5 => grid.forget(),
            6 => grid.resize(bytes.word(), bytes.word(), Color::BLACK),
            budget => {
                let piece = bytes.take(usize::from(budget));
                console.write(&mut grid, piece);
                let _ = grid.flush(&mut surface, budget.into());
            }
        }
    }
    let mut calls = 0;
    while !grid.flush(&mut surface, 100) {
        calls += 1;
        assert!(calls < 1_000, "painting does not end");
    }
}

/// Answers: each message comes back with bytes of the data over it.
pub(crate) fn framebuffer(data: &[u8]) {
    const ARM_END: u32 = 0x1C00_0000;
    let mut bytes = Bytes(data);
    let mut setup = Setup::new(Wish { size: None, depth: Depth::Bits16, arm_end: ARM_END });
    for _ in 0..8 {
        let mut memory = [0; MESSAGE];
        let mut request = Request::new(&mut memory).expect("room");
        setup.ask(&mut request).expect("room");
        let length = request.finish();
        let mut at = 4;
        memory[7] = 0x80;
        while at + 4 <= length && !bytes.is_empty() {
            at += usize::from(bytes.byte() % 32) * 4;
            let piece = bytes.take(4);
            if at + 4 <= length {
                memory[at..at + piece.len()].copy_from_slice(piece);
            }
        }
        let answer = match bytes.byte() {
            255 => Err(MessageError::Refused),
            _ => Response::new(&memory, length),
        };
        match setup.answer(answer) {
            Step::Ask => {}
            Step::None(_) => return,
            Step::Done(f) => {
                assert!(f.base >= ARM_END && f.base + f.bytes <= 0x2000_0000, "{f:?}");
                let row = u32::from(f.width) * f.format.depth.bits() / 8;
                assert!(row <= f.pitch && f.pitch * u32::from(f.height) <= f.bytes, "{f:?}");
                return;
            }
        }
    }
    panic!("it does not end");
}
