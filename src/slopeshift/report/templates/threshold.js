// How probable a change is that is larger than the one a reader chooses: what the page carries of it, said as text.
(() => {
  "use strict";
  for (const part of document.querySelectorAll(".threshold")) {
    const held = JSON.parse(part.dataset.held);
    const chosen = part.querySelector("input");
    const show = () => {
      const at = Number(chosen.value);
      chosen.setAttribute("aria-valuetext", held.values[at]);
      part.querySelector("output").textContent = held.said[at];
    };
    chosen.addEventListener("input", show);
    part.hidden = false;
    show();
  }
})();
