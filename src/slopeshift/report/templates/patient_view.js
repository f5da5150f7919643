// The patient view: shows what the page carries of one patient. It draws and computes nothing else, asks no server for
// anything, and puts texts in place as texts only.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const LEAST_WIDTH = 260;
  const part = (name) => document.getElementById("view-" + name);
  const held = JSON.parse(part("data").textContent);

  const element = (name, text, attributes) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };

  const drawn = (parent, name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return parent.appendChild(made);
  };

  const written = (value) => String(value).replace("-", "\u2212");

  // ---- axes ----

  const scale = ([low, high], [from, to]) => (value) =>
    Math.round((from + ((value - low) / (high - low)) * (to - from)) * 10) / 10;

  const ticks = ([low, high], most) => {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((times) => power * times >= rough);
    const first = Math.ceil(low / step);
    const count = Math.floor(high / step) - first + 1;
    return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(6)));
  };

  const axes = (plot, outcome, box, x, y) => {
    for (const value of ticks(outcome.values, Math.max(3, Math.floor((box.bottom - box.top) / 50)))) {
      drawn(plot, "line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) });
      drawn(plot, "text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, written(value));
    }
    for (const value of ticks(outcome.months, Math.max(3, Math.floor((box.right - box.left) / 70)))) {
      drawn(plot, "line", { class: "axis", x1: x(value), x2: x(value), y1: box.bottom, y2: box.bottom + 4 });
      drawn(plot, "text", { x: x(value), y: box.bottom + 18, "text-anchor": "middle" }, written(value));
    }
    drawn(plot, "line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom });
    drawn(plot, "text", { x: (box.left + box.right) / 2, y: box.bottom + 36, "text-anchor": "middle" }, outcome.clock);
    drawn(plot, "text", { x: 2, y: 13 }, outcome.unit);
  };

  // ---- one patient ----

  const points = (months, values, x, y) => months.map((month, i) => x(month) + "," + y(values[i]));

  const band = (plot, name, [months, median, lower, upper], x, y) => {
    if (!months.length) return;
    const edge = points(months, upper, x, y);
    const back = points(months, lower, x, y).reverse();
    drawn(plot, "polygon", { class: name + "-band", points: edge.concat(back).join(" ") });
    drawn(plot, "polyline", { class: name, points: points(months, median, x, y).join(" ") });
  };

  const MARKS = {
    death: ["end death", "M-5-5L5 5M-5 5L5-5"],
    withdrawal: ["end", "M-5-5H5V5H-5Z"],
    lost: ["end", "M0-6L6 0L0 6L-6 0Z"],
  };

  const ending = (plot, told, box, x) => {
    if (!told || !MARKS[told[1]]) return;
    const [name, path] = MARKS[told[1]];
    const [at, height] = [x(told[0]), box.bottom - 9];
    drawn(plot, "path", { class: name, d: path, transform: "translate(" + at + " " + height + ")" });
    const left = at > (box.left + box.right) / 2;
    drawn(plot, "text", { x: at + (left ? -10 : 10), y: height + 4, "text-anchor": left ? "end" : "start" }, told[2]);
  };

  const record = (plot, patient, box, x, y) => {
    patient.injections.forEach((month, i) => {
      drawn(plot, "line", { class: "injection", x1: x(month), x2: x(month), y1: box.top, y2: box.bottom });
      drawn(plot, "text", { class: "injected", x: x(month), y: box.top - 5, "text-anchor": "middle" }, String(i + 1));
    });
    patient.month.forEach((month, i) => {
      const dot = drawn(plot, "circle", { class: "value", cx: x(month), cy: y(patient.value[i]), r: 3.5 });
      drawn(dot, "title", {}, "month " + written(month) + ": " + written(patient.value[i]));
    });
    if (!patient.month.length)
      drawn(plot, "text", { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2, "text-anchor": "middle" },
        "no value recorded");
  };

  const picture = (outcome, patient) => {
    const width = Math.max(LEAST_WIDTH, part("plot").clientWidth);
    const height = Math.min(420, Math.max(250, Math.round(width / 2)));
    const box = { left: 46, right: width - 10, top: 38, bottom: height - 44 };
    const x = scale(outcome.months, [box.left, box.right]);
    const y = scale(outcome.values, [box.bottom, box.top]);
    const plot = document.createElementNS(SVG, "svg");
    plot.setAttribute("viewBox", "0 0 " + width + " " + height);
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", patient.said[0] + " What the lines say stands below.");
    axes(plot, outcome, box, x, y);
    band(plot, "without", patient.without, x, y);
    band(plot, "line", patient.line, x, y);
    record(plot, patient, box, x, y);
    ending(plot, patient.ending, box, x);
    part("plot").replaceChildren(plot);
  };

  // ---- tables ----

  const table = (caption, heads, align, rows) => {
    const made = document.createElement("table");
    made.createCaption().textContent = caption;
    const head = made.createTHead().insertRow();
    heads.forEach((text, i) => head.append(element("th", text, { scope: "col", class: align[i] })));
    const body = made.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      row.forEach((text, i) => line.append(element(i ? "td" : "th", text, i ? { class: align[i] } : { scope: "row" })));
      if (row.length < heads.length) {
        line.lastChild.colSpan = heads.length - row.length + 1;
        line.lastChild.className = "none";
      }
    }
    return made;
  };

  const told = (outcome, patient, name) => {
    part("said").replaceChildren(...patient.said.map((sentence) => element("p", sentence)));
    const recorded = patient.month.map((month, i) => [written(month), written(patient.value[i])]);
    part("values").replaceChildren(
      table(outcome.label + " recorded of patient " + name, ["Month", outcome.unit], "lr", recorded));
    part("table").hidden = !patient.rows.length;
    part("table").replaceChildren(
      table(outcome.label + " of patient " + name + ", by injection", outcome.heads, outcome.align, patient.rows));
  };

  // ---- choosing ----

  const last = held.patients.length - 1;

  const show = () => {
    const [who, what] = [part("patient").selectedIndex, part("outcome").selectedIndex];
    const outcome = held.outcomes[what];
    picture(outcome, outcome.patients[who]);
    told(outcome, outcome.patients[who], held.patients[who]);
    part("previous").setAttribute("aria-disabled", String(who === 0));
    part("next").setAttribute("aria-disabled", String(who === last));
  };

  const step = (by) => () => {
    const chosen = part("patient");
    const next = Math.min(last, Math.max(0, chosen.selectedIndex + by));
    if (next === chosen.selectedIndex) return;
    chosen.selectedIndex = next;
    show();
  };

  part("patient").append(...held.patients.map((name) => element("option", name)));
  part("outcome").append(...held.outcomes.map((outcome) => element("option", outcome.label)));
  part("patient").addEventListener("change", show);
  part("outcome").addEventListener("change", show);
  part("previous").addEventListener("click", step(-1));
  part("next").addEventListener("click", step(1));
  part("off").hidden = true;
  part("on").hidden = false;
  show();

  // Texts in the figure keep their size: it is drawn again for another width, not stretched.
  let width = part("plot").clientWidth;
  new ResizeObserver(() => {
    if (part("plot").clientWidth === width) return;
    width = part("plot").clientWidth;
    const outcome = held.outcomes[part("outcome").selectedIndex];
    picture(outcome, outcome.patients[part("patient").selectedIndex]);
  }).observe(part("plot"));
})();
