import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** KaTeX names each font in three formats; every browser that can run this page reads the first. */
const firstFontOnly: Plugin = {
  name: "first-font-only",
  enforce: "pre",
  transform: (code, id) =>
    id.includes("katex.min.css") ? code.replace(/,url\([^)]+\.(woff|ttf)\) format\("\w+"\)/g, "") : undefined,
};

// Addresses in the build are relative, so that the page works below any path behind a proxy.
export default defineConfig({
  base: "./",
  plugins: [firstFontOnly, react(), tailwindcss()],
  build: {
    target: "es2022",
    sourcemap: false,
    // Nothing is inlined as data: the Content-Security-Policy stays short.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": process.env.CANDOR_URL ?? "http://127.0.0.1:8080" } },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"] },
});
