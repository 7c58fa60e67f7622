//! Independent work on all processors.

/// What `f` makes of every item, in their order.
pub(crate) fn mapped<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(1);
    let f = &f;
    std::thread::scope(|scope| {
        let parts: Vec<_> = items.chunks(share).map(|part| scope.spawn(move || part.iter().map(f).collect())).collect();
        let made = |part: std::thread::ScopedJoinHandle<'_, Vec<R>>| match part.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        parts.into_iter().flat_map(made).collect()
    })
}
