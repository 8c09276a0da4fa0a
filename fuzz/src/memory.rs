//! How much memory a decoder takes for what it was given.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

/// What is taken whatever the input: buffers that start at a fixed size, and the messages of failures.
const ALWAYS: usize = 16 * 1024;
/// Bytes for each byte of input: a byte of text may become a `String` of its own.
const EACH: usize = 128;

#[global_allocator]
static COUNTING: Counting = Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Runs a decoder over `input` bytes.
///
/// # Panics
/// When it held more memory at a time than the input justifies.
pub fn bounded(input: usize, decode: impl FnOnce()) {
    let before = LIVE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    decode();
    let held = MOST.load(Ordering::Relaxed).saturating_sub(before);
    assert!(held <= ALWAYS + EACH * input, "{held} bytes of memory for {input} bytes of input");
}

/// The system's allocator, counted.
struct Counting;

// SAFETY: every call goes to `System` as it came; the rest is counting.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}
