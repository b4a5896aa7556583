"use strict";
// Draws the figures in the page's own colours, keeps them readable on narrow screens, and switches the code on and off.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const NARROW_PX = 560;
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
  };

  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const isAxis = (key) => /^[xyz]axis\d*$/.test(key);

  // Colours go into the template, which reaches every axis; those that a figure states for text and grid itself are lifted.
  function themed(spec, narrow) {
    const layout = structuredClone(spec.layout);
    const ink = colour("ink"), muted = colour("muted"), grid = colour("grid"), line = colour("line"), raised = colour("raised");
    const axis = { color: muted, gridcolor: grid, linecolor: line, zerolinecolor: line, tickcolor: line, automargin: true,
      tickfont: { color: muted }, title: { font: { color: muted } } };
    const colorbar = { tickfont: { color: muted }, title: { font: { color: muted } }, outlinewidth: 0 };
    const template = layout.template || {};
    const own = template.layout || {};
    layout.template = { ...template, layout: { ...own, xaxis: { ...own.xaxis, ...axis }, yaxis: { ...own.yaxis, ...axis },
      coloraxis: { ...own.coloraxis, colorbar: { ...(own.coloraxis || {}).colorbar, ...colorbar } } } };
    for (const key of Object.keys(layout).filter(isAxis)) {
      const { color, gridcolor, linecolor, zerolinecolor, tickcolor, ...rest } = layout[key];
      if (rest.tickfont) delete rest.tickfont.color;
      if (rest.title && rest.title.font) delete rest.title.font.color;
      layout[key] = rest;
    }
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { ...own.font, ...layout.font, color: ink, family: getComputedStyle(document.body).fontFamily };
    layout.legend = { ...layout.legend, bgcolor: "rgba(0,0,0,0)", font: { ...(layout.legend || {}).font, color: ink } };
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: raised, bordercolor: muted, font: { color: ink } };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: ink };
    layout.template.layout.shapedefaults = { line: { color: muted, width: 1.5 } };
    // Axes make the room that they need; a figure made of tiles needs none.
    layout.margin = { ...layout.margin, l: 4, r: 4, b: 4 };
    for (const note of layout.annotations || []) {
      if (!note.bgcolor) note.font = { ...note.font, color: ink };
    }
    layout.autosize = true;
    layout.uirevision = "kept";
    return narrow ? narrowed(layout, spec.data) : layout;
  }

  function narrowed(layout, traces) {
    const entries = traces.filter((trace) => trace.name && trace.showlegend !== false).length;
    layout.font.size = Math.min(layout.font.size || 12, 11);
    layout.legend = { ...layout.legend, orientation: "h", x: 0, xanchor: "left", y: 0, yref: "container", yanchor: "bottom" };
    layout.extraHeight = entries > 1 ? 24 * Math.ceil(entries / 2) : 0;
    return layout;
  }

  // The root of a hierarchy lies under all tiles and carries its name in the text colour: let the page shine through.
  function withoutRootTile(trace) {
    const colors = trace.parents && trace.marker && trace.marker.colors;
    if (!Array.isArray(colors)) return trace;
    const lifted = (list, bare) => list.map((color, i) => (trace.parents[i] ? color : bare));
    const shown = { ...trace, marker: { ...trace.marker, colors: lifted(colors, "rgba(0,0,0,0)") } };
    // Where each label has an ink of its own, the root's must be the page's.
    const inks = trace.textfont && trace.textfont.color;
    return Array.isArray(inks) ? { ...shown, textfont: { ...trace.textfont, color: lifted(inks, colour("ink")) } } : shown;
  }

  const charts = [...document.querySelectorAll(".chart")].map((div) => ({
    div,
    spec: JSON.parse(document.getElementById(div.id.replace("chart", "spec")).textContent),
    height: parseInt(div.style.height, 10),
    narrow: null,
  }));

  async function draw(chart) {
    chart.narrow = chart.div.clientWidth < NARROW_PX;
    const { extraHeight = 0, ...layout } = themed(chart.spec, chart.narrow);
    chart.div.style.height = `${chart.height + extraHeight}px`;
    const data = structuredClone(chart.spec.data).map(withoutRootTile);
    await Plotly.react(chart.div, { data, layout, config, frames: chart.spec.frames });
  }

  const drawAll = () => Promise.all(charts.map(draw));
  drawAll().then(() => { root.dataset.drawn = "yes"; });
  dark.addEventListener("change", drawAll);
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts.find(({ div }) => div === target);
      if (chart.narrow !== null && chart.narrow !== (target.clientWidth < NARROW_PX)) draw(chart);
    }
  });
  for (const { div } of charts) watcher.observe(div);
  // What a list or the header keeps folded is wanted on paper; the data behind the figures is not.
  const folded = [...document.querySelectorAll(".making, .more")];
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = folded.filter((part) => !part.open);
    for (const part of opened) part.open = true;
    root.dataset.printing = "yes";
    drawAll();
  });
  addEventListener("afterprint", () => {
    for (const part of opened) part.open = false;
    delete root.dataset.printing;
    drawAll();
  });

  // On a phone the contents would stand between the title and the answer.
  const wide = matchMedia("(min-width: 75rem)");
  const contents = document.querySelector(".contents");
  const placeContents = () => { if (contents) contents.open = wide.matches; };
  placeContents();
  wide.addEventListener("change", placeContents);

  const button = document.getElementById("code-switch");
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(root.classList.toggle("show-code")));
  });

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    const entry = entries.find(({ isIntersecting }) => isIntersecting);
    if (!entry || !links.has(entry.target.id)) return;
    for (const link of links.values()) link.removeAttribute("aria-current");
    links.get(entry.target.id).setAttribute("aria-current", "true");
  }, { rootMargin: "0px 0px -70% 0px" });
  for (const heading of document.querySelectorAll("main h2, main h3")) seen.observe(heading);
})();
