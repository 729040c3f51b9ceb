//! A team of threads that works on one thing at a time: `run` hands out task numbers until none are left.
//!
//! Each thread begins with a range of its own, the same part of every job: where tasks follow the order of tokens, it finds
//! in its cache what it wrote in the job before. Who is done helps the others; results must not depend on who did what. Idle threads spin for some
//! microseconds, in case the next kernel follows at once, then sleep. The caller never waits for a sleeper: a thread
//! that wakes too late finds the gate closed and goes back to sleep.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Bit of `Shared::gate` that says a job may be entered; the bits below count the workers inside.
const OPEN: usize = 1 << (usize::BITS - 1);
/// Rounds of spinning before a worker sleeps: some tens of microseconds.
const SPINS: usize = 20_000;

/// A job, alive in `run`'s frame while the gate is open or a worker is inside.
struct Job {
    task: *const (dyn Fn(usize) + Sync),
    tasks: usize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// The next task of a thread's range; on a cache line of its own.
#[repr(align(64))]
struct Cursor(AtomicUsize);

struct Shared {
    gate: AtomicUsize,
    job: UnsafeCell<*const Job>,
    /// One per thread, the caller's first.
    cursors: Vec<Cursor>,
    /// Counts jobs, so that a worker notices a new one.
    epoch: AtomicUsize,
    sleepers: Mutex<usize>,
    wake: Condvar,
    stop: AtomicBool,
}

// SAFETY: `job` is written only by the holder of `Team::turn` while the gate is shut and empty, and read only by
// workers that entered through the gate; the gate's atomics order the two.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

thread_local! {
    /// Whether this thread is inside a task: a nested `run` then works alone.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Threads that share a computation. Usable from any thread; jobs of several callers take turns.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    turn: Mutex<()>,
}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Team {
    /// A team of `threads` threads, the caller of `run` included; 0 counts as 1. Where the system gives no more
    /// threads, the team is smaller.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            gate: AtomicUsize::new(0),
            job: UnsafeCell::new(std::ptr::null()),
            cursors: (0..threads.max(1)).map(|_| Cursor(AtomicUsize::new(0))).collect(),
            epoch: AtomicUsize::new(0),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let workers = (1..threads.max(1))
            .map_while(|i| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("candor-team-{i}"))
                    .spawn(move || work(&shared, i))
                    .ok()
            })
            .collect();
        Team {
            shared,
            workers,
            turn: Mutex::new(()),
        }
    }

    /// How many threads work on a job, the caller included.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task` with every number in `0..tasks`, each once, on all threads, and returns when all are done.
    /// Called from inside a task, it does the work alone.
    ///
    /// # Panics
    /// If a task panics: tasks not yet begun are skipped, and the panic goes on here.
    pub fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 || self.workers.is_empty() || INSIDE.get() {
            (0..tasks).for_each(task);
            return;
        }
        let turn = lock(&self.turn);
        // SAFETY: only the lifetime changes. The pointer is used by threads inside the gate alone, and this function
        // does not return before the gate is shut and everyone has left.
        let task: *const (dyn Fn(usize) + Sync) =
            unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task) };
        let job = Job {
            task,
            tasks,
            panic: Mutex::new(None),
        };
        let shared = &*self.shared;
        for (i, cursor) in shared.cursors.iter().enumerate() {
            cursor
                .0
                .store(job.range(i, shared.cursors.len()).start, Ordering::Relaxed);
        }
        // SAFETY: the gate is shut and empty (the last `run` left it so), and `turn` keeps other callers out.
        unsafe { *shared.job.get() = &raw const job };
        shared.gate.store(OPEN, Ordering::SeqCst);
        shared.epoch.fetch_add(1, Ordering::SeqCst);
        if *lock(&shared.sleepers) > 0 {
            shared.wake.notify_all();
        }
        job.help(0, &shared.cursors);
        shared.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0;
        while shared.gate.load(Ordering::Acquire) != 0 {
            spins += 1;
            if spins % 4096 == 0 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        let panic = lock(&job.panic).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        drop(lock(&self.shared.sleepers));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Job {
    /// The tasks that thread `i` of `of` begins with.
    fn range(&self, i: usize, of: usize) -> Range<usize> {
        // As many as ranges that differ by one at most; without products that could overflow.
        let (each, more) = (self.tasks / of, self.tasks % of);
        let start = i * each + i.min(more);
        start..start + each + usize::from(i < more)
    }

    /// Takes tasks until none are left, thread `me`'s own first. Never panics.
    fn help(&self, me: usize, cursors: &[Cursor]) {
        INSIDE.set(true);
        let result = catch_unwind(AssertUnwindSafe(|| {
            for whose in (me..cursors.len()).chain(0..me) {
                let end = self.range(whose, cursors.len()).end;
                loop {
                    let i = cursors[whose].0.fetch_add(1, Ordering::Relaxed);
                    if i >= end {
                        break;
                    }
                    // SAFETY: the caller of `run` keeps the closure alive until everyone has left the gate.
                    unsafe { (*self.task)(i) };
                }
            }
        }));
        INSIDE.set(false);
        if let Err(panic) = result {
            for cursor in cursors {
                cursor.0.store(self.tasks, Ordering::Relaxed);
            }
            lock(&self.panic).get_or_insert(panic);
        }
    }
}

impl Shared {
    /// Enters the gate if it is open.
    fn enter(&self) -> bool {
        self.gate
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |gate| {
                (gate & OPEN != 0).then_some(gate + 1)
            })
            .is_ok()
    }

    /// Waits until the epoch is not `seen` any more; returns the new one.
    fn await_epoch(&self, seen: usize) -> usize {
        for _ in 0..SPINS {
            let epoch = self.epoch.load(Ordering::Acquire);
            if epoch != seen {
                return epoch;
            }
            std::hint::spin_loop();
        }
        let mut sleepers = lock(&self.sleepers);
        *sleepers += 1;
        loop {
            let epoch = self.epoch.load(Ordering::SeqCst);
            if epoch != seen {
                *sleepers -= 1;
                return epoch;
            }
            sleepers = self.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn work(shared: &Shared, me: usize) {
    let mut seen = 0;
    loop {
        seen = shared.await_epoch(seen);
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        if shared.enter() {
            // SAFETY: inside the gate the job pointer is set and its target alive until we leave.
            unsafe { (**shared.job.get()).help(me, &shared.cursors) };
            shared.gate.fetch_sub(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_task_runs_once_whatever_the_number_of_threads() {
        for threads in [0, 1, 2, 5] {
            let team = Team::new(threads);
            assert_eq!(team.threads(), threads.max(1));
            for tasks in [0, 1, 2, 3, 100] {
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                team.run(tasks, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn ranges_of_threads_hold_every_task_once() {
        for (tasks, of) in [(0, 3), (1, 3), (7, 3), (9, 3), (100, 7), (usize::MAX, 2)] {
            let job = Job {
                task: &|_| (),
                tasks,
                panic: Mutex::new(None),
            };
            let mut next = 0;
            for i in 0..of {
                assert_eq!(job.range(i, of).start, next);
                next = job.range(i, of).end;
            }
            assert_eq!(next, tasks);
        }
    }

    #[test]
    fn many_short_jobs_from_several_callers_all_finish() {
        let team = Team::new(3);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        team.run(4, &|_| {
                            total.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(total.load(Ordering::Relaxed), 3 * 2000 * 4);
    }

    #[test]
    fn sleeping_threads_wake_for_the_next_job() {
        let team = Team::new(2);
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(20));
            let total = AtomicUsize::new(0);
            team.run(8, &|i| {
                std::thread::sleep(Duration::from_millis(1));
                total.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(total.load(Ordering::Relaxed), 28);
        }
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_caller_and_the_team_goes_on() {
        let team = Team::new(2);
        for bad in [0, 63] {
            let result = catch_unwind(AssertUnwindSafe(|| team.run(64, &|i| assert!(i != bad, "task {i}"))));
            let message = *result.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(message, format!("task {bad}"));
        }
        let total = AtomicUsize::new(0);
        team.run(10, &|_| {
            total.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(total.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn a_run_inside_a_task_works_alone() {
        let team = Team::new(2);
        let total = AtomicUsize::new(0);
        team.run(4, &|_| {
            team.run(4, &|_| {
                total.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(total.load(Ordering::Relaxed), 16);
    }
}
