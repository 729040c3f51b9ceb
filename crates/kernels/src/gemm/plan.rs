//! How the work of a layer is cut into tasks. None of it changes a result.

use std::ops::Range;

use super::pack::Weights;
use super::run::{FLOAT_GROUPS, MANY_FROM};
use crate::team::Team;

/// Groups of a task that unpacks, at least and at most: the more, the fewer lines of results that two threads write to
/// one beside the other.
const PANEL_GROUPS: (usize, usize) = (2, 16);
/// A decode task reads at least about this much.
const TASK_BYTES: usize = 16 << 10;
/// Tokens for each thread from which on threads take tokens of their own.
const SPLIT_FROM: usize = 64;

/// Tasks: ranges of groups by ranges of tokens.
pub(super) struct Plan {
    groups: usize,
    groups_per_task: usize,
    tokens: usize,
    tokens_per_task: usize,
}

impl Plan {
    /// Ranges of tokens begin at multiples of `tile`.
    pub(super) fn new(team: &Team, w: &Weights, tokens: usize, (tile, most): (usize, usize)) -> Self {
        let groups = w.groups();
        let groups_per_task = if tokens < MANY_FROM {
            // Enough to outweigh handing out a task; few enough that all threads end together.
            let most = groups.div_ceil(team.threads() * 4).max(1);
            let least = if w.format().is_float() { FLOAT_GROUPS } else { 1 };
            (TASK_BYTES / w.group(0).len().max(1)).clamp(least.min(most), most)
        } else {
            let each = (groups / (team.threads() * 3)).clamp(PANEL_GROUPS.0, PANEL_GROUPS.1);
            each.next_multiple_of(PANEL_GROUPS.0)
        };
        // A range for each thread if that leaves enough: what a thread wrote it then finds in its own cache.
        let own = if tokens >= team.threads() * SPLIT_FROM {
            team.threads()
        } else {
            1
        };
        let split = tokens.div_ceil(most).next_multiple_of(own).max(1);
        Plan {
            groups,
            groups_per_task,
            tokens,
            tokens_per_task: tokens.div_ceil(split).next_multiple_of(tile).max(tile),
        }
    }

    pub(super) fn tasks(&self) -> usize {
        self.groups.div_ceil(self.groups_per_task) * self.tokens.div_ceil(self.tokens_per_task)
    }

    /// Groups, first token and number of tokens of a task. Tasks that share tokens follow each other, so that these
    /// tokens' activations stay in cache.
    pub(super) fn task(&self, i: usize) -> (Range<usize>, usize, usize) {
        let across = self.groups.div_ceil(self.groups_per_task);
        let (first, at) = (i / across * self.tokens_per_task, i % across * self.groups_per_task);
        let count = self.tokens_per_task.min(self.tokens - first);
        (at..(at + self.groups_per_task).min(self.groups), first, count)
    }

    pub(super) fn run(&self, team: &Team, task: &(dyn Fn(Range<usize>, usize, usize) + Sync)) {
        team.run(self.tasks(), &|i| {
            let (groups, first, count) = self.task(i);
            task(groups, first, count);
        });
    }
}
