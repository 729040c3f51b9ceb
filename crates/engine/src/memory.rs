//! How much memory the machine has left.

/// Assumed where the system does not say.
const UNKNOWN: u64 = 4 << 30;

/// Bytes that programs can still get without swapping.
pub fn free() -> u64 {
    let available = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    });
    // Inside a container less may be allowed.
    let read = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limit = read("/sys/fs/cgroup/memory.max")
        .zip(read("/sys/fs/cgroup/memory.current"))
        .map(|(most, used)| most.saturating_sub(used));
    available.unwrap_or(UNKNOWN).min(limit.unwrap_or(u64::MAX))
}
