"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
for (const [id, figure] of Object.entries(figures)) {
  Plotly.newPlot(id, figure.data, figure.layout, { displayModeBar: false, responsive: true });
}
for (const button of document.querySelectorAll(".legend button")) {
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    for (const [id, figure] of Object.entries(figures)) {
      const traces = figure.data.flatMap((trace, i) => (trace.legendgroup === button.dataset.key ? [i] : []));
      if (traces.length) Plotly.restyle(id, { visible: shown }, traces);
    }
  });
}
