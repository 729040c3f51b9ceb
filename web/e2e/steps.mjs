// What the checks do again and again, in the words of the person at the page.

export const composer = (page) => page.getByRole("textbox", { name: "Write a message" });
export const answers = (page) => page.locator("article.answer");
export const done = async (page, n = 0) => {
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
  await page.waitForFunction((n) => document.querySelectorAll("article.answer[aria-busy=false]").length > n, n);
};
export const ask = async (page, text) => {
  await composer(page).fill(text);
  await composer(page).press("Enter");
};
export const row = (page, title) => page.locator(".sidebar .row", { hasText: title }).first();
export const menu = async (page, title, item) => {
  await row(page, title).hover();
  await row(page, title).getByRole("button").click();
  await page.getByRole("menuitem", { name: item }).click();
};
/** A short answer, so that a slow machine is not waited for. */
export const brief = { sampling: { max_tokens: 24, seed: 7, temperature: 0.2 } };
export const lengthy = { sampling: { max_tokens: 700, seed: 7, temperature: 0.8 } };
export const fresh = async ({ server, open }, title, settings = brief, options = {}) => {
  const { id } = await server.api("POST", "conversations", { title, ...settings });
  const page = await open(options);
  await page.goto(`${server.url}c/${id}`);
  await composer(page).waitFor();
  return { page, id };
};
export const imported = async (server, title, turns) => {
  const messages = turns.map(([role, content], n) => ({ id: String(n), parent: n ? String(n - 1) : null, role, content }));
  return server.api("POST", "import", { format: "candor.conversation/1", title, messages });
};
