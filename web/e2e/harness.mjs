// Starts the real server with a fresh data directory, and a browser that may reach nothing else. Environment:
// CANDOR_BIN (default target/release/candor), CANDOR_E2E_MODEL (name or path; default the packaged small model),
// CANDOR_E2E_FAKE=1 (the example server with a pretended model instead), CHROMIUM (default /usr/bin/chromium).

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
export const fake = process.env.CANDOR_E2E_FAKE === "1";
const executable = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));

const freePort = () =>
  new Promise((done, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** Where `candor pull` put the models: the server under test has a data directory of its own, without any. */
const modelsFolder = (candor) => join(/^# data: (.+)$/m.exec(execFileSync(candor, ["config"], { encoding: "utf8" }))[1], "models");

export class Server {
  base = process.env.CANDOR_E2E_BASE ?? "";

  /** `config`: more of the configuration file, such as an upstream. */
  constructor({ config = "", base = "" } = {}) {
    this.base = base || this.base;
    this.folder = mkdtempSync(join(tmpdir(), "candor-e2e-"));
    this.config = join(this.folder, "config.toml");
    writeFileSync(this.config, config);
  }

  async start() {
    this.port ??= Number(process.env.CANDOR_E2E_PORT) || (await freePort());
    const release = join(root, "target/release");
    const [file, args] = fake
      ? [join(release, "examples/page"), [String(this.port), this.folder]]
      : [process.env.CANDOR_BIN ?? join(release, "candor"), this.serveArguments()];
    if (!existsSync(file)) throw new Error(`${file} is not there; build it with cargo build --release`);
    this.process = spawn(file, args, {
      env: { CANDOR_MODELS: fake ? "" : modelsFolder(file), ...process.env, CANDOR_DATA_DIR: this.folder, BASE_PATH: this.base },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on("data", (data) => (output += data));
    for (let n = 0; n < 600; n++) {
      if (this.process.exitCode !== null) throw new Error(`the server ended: ${output}`);
      const ready = await fetch(`${this.url}health`).then((response) => response.ok, () => false);
      if (ready) return;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`the server did not get ready: ${output}`);
  }

  serveArguments() {
    const model = process.env.CANDOR_E2E_MODEL ?? "smollm2-135m-instruct";
    const base = this.base ? ["--base-path", this.base] : [];
    return ["serve", "--model", model, "--port", String(this.port), "--config", this.config, ...base];
  }

  get url() {
    return `http://127.0.0.1:${this.port}${this.base}/`;
  }

  async kill(signal = "SIGKILL") {
    if (!this.process || this.process.exitCode !== null) return;
    const gone = new Promise((done) => this.process.once("exit", done));
    this.process.kill(signal);
    await gone;
  }

  async end() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async api(method, path, body) {
    const response = await fetch(`${this.url}api/${path}`, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? undefined : response.json();
  }
}

export async function launch() {
  if (!executable) throw new Error("no Chromium was found; install it (Debian: apt-get install chromium), or name it in CHROMIUM");
  return chromium.launch({
    executablePath: executable,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-default-apps"],
  });
}

/** A page that notes what must not happen: requests elsewhere, policy violations, errors in the console. */
export async function openPage(browser, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-US", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints = [];
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(server.url) && !/^(data|blob):/.test(url)) complaints.push(`request to ${url}`);
  });
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|ERR_CONNECTION_RESET|Failed to load resource/.test(text)) complaints.push(`console: ${text}`);
    if (/Content.Security.Policy/i.test(text)) complaints.push(`policy: ${text}`);
  });
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.complaints = complaints;
  return page;
}
