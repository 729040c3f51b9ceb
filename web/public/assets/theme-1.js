// Sets the chosen theme before anything is painted; the page's own script comes too late for that. A changed file needs
// another name: what lies here is cached for good.
try {
  const theme = localStorage.getItem("candor-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's theme it is.
}
