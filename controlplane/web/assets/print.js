// Prints the page where it offers that. Without this script, the browser's own menu does.
"use strict";
for (const b of document.querySelectorAll("[data-print]")) b.addEventListener("click", () => window.print());
