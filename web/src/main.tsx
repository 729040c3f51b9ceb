// Where the page starts.

import "./styles.css";
import "./i18n";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { client } from "./api/hooks";
import { App } from "./App";
import { Boundary, Broken } from "./ui/Boundary";
import { applyTheme } from "./ui/preferences";

applyTheme();
const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <Boundary fallback={<Broken />}>
          <App />
        </Boundary>
      </QueryClientProvider>
    </StrictMode>,
  );
