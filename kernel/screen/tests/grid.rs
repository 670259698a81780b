//! The text on the screen is that of the cells, however it got there.

mod common;

use common::{Canvas, RGB16, canvas, picture};
use proptest::prelude::*;
use sk_screen::font::Size;
use sk_screen::screen::Owner;
use sk_screen::{Color, Console, Grid, Screen, Surface};

const CELLS: usize = 30 * 9;
const W: u16 = 20 * 8 + 5;
const H: u16 = 9 * 16 + 7;

#[derive(Clone, Debug)]
enum Act {
    Write(String),
    Size(Size),
    Ink(u32, u32),
    Go(u16, u16),
    Clear,
    Flush(u32),
    Forget,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => "[ -~\n\t]{0,40}".prop_map(Act::Write),
        1 => prop::sample::select(vec![Size::Small, Size::Large, Size::Huge]).prop_map(Act::Size),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(ink, paper)| Act::Ink(ink, paper)),
        1 => prop_oneof![(0..25u16, 0..12u16), any::<(u16, u16)>()].prop_map(|(c, r)| Act::Go(c, r)),
        1 => Just(Act::Clear),
        6 => (0..6_000u32).prop_map(Act::Flush),
        1 => Just(Act::Forget),
    ]
}

fn blank() -> Surface<Canvas> {
    let mut surface = canvas(W, H, RGB16);
    let all = sk_screen::surface::Area { x: 0, y: 0, width: W.into(), height: H.into() };
    surface.rectangle(all, Color::BLACK);
    surface
}

fn done<const N: usize>(grid: &mut Grid<N>, surface: &mut Surface<Canvas>) {
    while !grid.flush(surface, 1_000) {}
    assert!(grid.is_shown());
}

proptest! {
    /// Painted bit by bit between changes, or all at once on another screen:
    /// the same pixels.
    #[test]
    fn painting_in_pieces_ends_where_painting_at_once_does(width in 0..W, acts in proptest::collection::vec(act(), 0..40)) {
        let (mut grid, mut surface, mut console) = (Grid::<CELLS>::new(), blank(), Console::default());
        grid.resize(width, H, Color::BLACK);
        prop_assert_eq!(grid.columns(), width / 8);
        for act in acts {
            match act {
                Act::Write(text) => console.write(&mut grid, text.as_bytes()),
                Act::Size(size) => console.size = size,
                Act::Ink(ink, paper) => (console.ink, console.paper) = (Color(ink), Color(paper)),
                Act::Go(column, row) => console.go(column, row),
                Act::Clear => console.clear(&mut grid),
                Act::Flush(budget) => { let _ = grid.flush(&mut surface, budget); }
                Act::Forget => grid.forget(),
            }
        }
        done(&mut grid, &mut surface);
        let mut fresh = blank();
        grid.forget();
        done(&mut grid, &mut fresh);
        prop_assert!(picture(&surface) == picture(&fresh));
    }
}

fn lines(grid: &mut Grid<CELLS>, text: &str) -> image::RgbImage {
    let (mut surface, mut console) = (blank(), Console::default());
    grid.resize(W, H, Color::BLACK);
    console.write(grid, text.as_bytes());
    done(grid, &mut surface);
    picture(&surface)
}

/// Whatever the compiler does with enums: a static grid belongs in .bss.
#[test]
#[allow(unsafe_code)]
fn a_new_grid_is_all_zeros() {
    static GRID: Grid<10> = Grid::new();
    // SAFETY: the bytes of a static; those of padding are zero in one.
    let bytes = unsafe {
        std::slice::from_raw_parts((&raw const GRID).cast::<u8>(), size_of::<Grid<10>>())
    };
    assert!(bytes.iter().all(|b| *b == 0));
}

#[test]
fn lines_wrap_and_scroll() {
    let mut grid = Grid::new();
    // Nine rows; the first three are gone.
    let long: String = (0..12).map(|n| format!("line {n}\n")).collect();
    let last: String = (4..12).map(|n| format!("line {n}\n")).collect();
    assert!(lines(&mut grid, &long) == lines(&mut grid, &last));
    assert!(
        lines(&mut grid, "12345678901234567890ab") == lines(&mut grid, "12345678901234567890\nab")
    );
    assert!(lines(&mut grid, "a\tb") == lines(&mut grid, "a       b"));
    assert!(lines(&mut grid, "abc\rx\x08y") == lines(&mut grid, "ybc"));
    assert!(lines(&mut grid, "a") != lines(&mut grid, "b"));
}

/// Large text and an odd number of columns: the last tab stop is one that no
/// glyph reaches.
#[test]
fn a_tab_stops_at_the_edge() {
    let (mut grid, mut console) = (Grid::<CELLS>::new(), Console::default());
    for width in 0..W {
        grid.resize(width, H, Color::BLACK);
        for size in [Size::Small, Size::Large, Size::Huge] {
            console.size = size;
            console.write(&mut grid, b"a\t\t\tb\t\n\t");
            let (column, _) = console.cursor();
            assert!(column <= grid.columns(), "{width} {size:?}");
        }
    }
}

#[test]
fn what_did_not_change_is_not_painted_again() {
    let (mut grid, mut surface, mut console) = (Grid::<CELLS>::new(), blank(), Console::default());
    grid.resize(W, H, Color::BLACK);
    console.write(&mut grid, b"temperature 52.3");
    done(&mut grid, &mut surface);
    let before = surface.sink().puts;
    console.go(0, 0);
    console.write(&mut grid, b"temperature 52.4");
    done(&mut grid, &mut surface);
    // One cell of sixteen rows.
    assert_eq!(surface.sink().puts - before, 16);
    let before = surface.sink().puts;
    assert!(grid.flush(&mut surface, 1));
    assert_eq!(surface.sink().puts, before);
}

#[test]
fn a_call_paints_no_more_than_its_budget() {
    let (mut grid, mut surface, mut console) = (Grid::<CELLS>::new(), blank(), Console::default());
    grid.resize(W, H, Color::BLACK);
    console.write(&mut grid, &[b'x'; 170]);
    let mut calls = 0;
    loop {
        let before = surface.sink().puts;
        let shown = grid.flush(&mut surface, 1_024);
        // Eight cells of sixteen rows.
        assert!(surface.sink().puts - before <= 8 * 16);
        calls += 1;
        if shown {
            break;
        }
    }
    assert!((22..=30).contains(&calls), "{calls}");
}

#[test]
fn a_grid_without_cells_and_screens_too_small_do_no_harm() {
    let (mut surface, mut console) = (blank(), Console::default());
    let mut none = Grid::<0>::new();
    none.resize(W, H, Color::BLACK);
    console.write(&mut none, b"text\n\ttext");
    assert!(none.flush(&mut surface, 100));
    let mut grid = Grid::<CELLS>::new();
    for (width, height) in [(0, 0), (7, 15), (8, 16), (u16::MAX, u16::MAX)] {
        grid.resize(width, height, Color::BLACK);
        for size in [Size::Huge, Size::Large, Size::Small] {
            console.size = size;
            console.write(&mut grid, b"text\n\ttext\x08\x08\r\n");
        }
        while !grid.flush(&mut surface, 100) {}
    }
}

#[test]
fn the_screen_goes_to_a_payload_and_back() {
    let mut grid = Grid::<CELLS>::new();
    let mut screen = Screen::new(canvas(W, H, RGB16), &mut grid);
    assert!(screen.surface().is_none(), "not cleared yet");
    let settle = |screen: &mut Screen<'_, Canvas, CELLS>| {
        while !screen.step(2_000) {}
        picture(screen.surface().expect("cleared"))
    };
    let empty = settle(&mut screen);
    screen.grid.put(1, 1, 40, Size::Large, Color::WHITE, Color::BLACK);
    let board = settle(&mut screen);
    assert!(board != empty);
    screen.take();
    assert_eq!(screen.owner(), Owner::Payload);
    assert!(screen.surface().is_none());
    let black = settle(&mut screen);
    assert!(black.pixels().all(|p| p.0 == [0; 3]));
    screen.surface().unwrap().pixel(0, 0, Color::WHITE);
    screen.write(b"hello");
    // Taking what one has changes nothing.
    screen.take();
    assert!(settle(&mut screen) != black);
    screen.give_back();
    assert!(settle(&mut screen) == empty, "nothing of the payload is left");
}
