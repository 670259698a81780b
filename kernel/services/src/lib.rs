//! What a payload may ask of the kernel: the resolver's table, the gate's
//! dispatcher, the handlers, the heap.
//!
//! A call arrives as a slot number and four register values, all chosen by
//! somebody else. [`dispatch`] decodes them by the signature in `sk-abi`'s
//! list, so a handler with another signature does not compile; every pointer
//! is checked against the task's own memory ([`Memory`]) before it is used. A
//! handler never waits: it returns, ends the task, or parks it with a
//! resumable [`Park`], so that the kernel's one thread stays responsive.
//!
//! * [`resolver`]: the perfect hash behind `resolve`, built at compile time.
//! * [`heap`]: the O(1) allocator behind the `mem` services.
//! * [`gate`]: [`dispatch`], [`Outcome`], [`Park`].
//! * [`context`]: what a handler sees of memory, board and task.
//! * [`fault`]: what a payload's fault was.
#![no_std]
#![forbid(unsafe_code)]

pub mod context;
pub mod fault;
pub mod gate;
mod handlers;
pub mod heap;
mod net;
pub mod resolver;

pub use context::{Allowed, Board, Context, Memory, Network, Sent, Stream, Task};
pub use gate::{Ending, Fault, Job, Outcome, Park, Receive, Send, UserPtr, dispatch};
pub use heap::Heap;
