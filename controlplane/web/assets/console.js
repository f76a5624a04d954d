// The console's chart. All words come from the page and the data; everything else on the page renews itself with htmx.
"use strict";
(() => {
  const box = document.getElementById("chart");
  if (!box || !window.uPlot) return;
  const colours = ["#197a4b", "#ce0000", "#c74700", "#806300", "#5c10be", "#0055ad"];
  const dashes = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [1, 4]]; // told apart without colours too
  let chart = null;
  let names = "";

  const draw = (d) => {
    if (d.times.length < 2) {
      if (!chart) box.textContent = box.dataset.empty;
      return;
    }
    const data = [d.times, ...d.rows.map((r) => r.values)];
    const wanted = d.rows.map((r) => r.name).join(" ");
    if (chart && wanted === names) {
      chart.setData(data);
      return;
    }
    names = wanted;
    if (chart) chart.destroy();
    box.textContent = "";
    const grid = { stroke: "#e6e6e6", width: 1 };
    chart = new uPlot(
      {
        width: box.clientWidth,
        height: 260,
        scales: { y: { range: (u, min, max) => [0, Math.max(5, max * 1.1)] } },
        axes: [{ grid, stroke: "#4d4d4d", values: (u, ts) => ts.map((t) => new Date(t * 1000).toLocaleTimeString("ja-JP", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "Asia/Tokyo" })) }, { grid, stroke: "#4d4d4d", size: 60 }],
        series: [
          { label: box.dataset.time, value: (u, t) => (t == null ? "–" : new Date(t * 1000).toLocaleTimeString("ja-JP", { timeZone: "Asia/Tokyo" })) },
          ...d.rows.map((r, i) => ({
            label: r.label,
            stroke: colours[i % colours.length],
            width: 2,
            dash: dashes[i % dashes.length],
            fill: i === 0 ? "rgba(25,122,75,0.08)" : undefined,
            points: { show: false },
            value: (u, v) => (v == null ? "–" : v.toFixed(1) + "/s"),
          })),
        ],
      },
      data,
      box,
    );
  };

  const renew = async () => {
    try {
      const r = await fetch(box.dataset.src, { headers: { Accept: "application/json" } });
      if (r.status === 401) return; // the page itself leads to sign-in
      if (r.ok) draw(await r.json());
    } catch {
      // The gate is not reachable just now: keep what is drawn and go on asking.
    }
    window.setTimeout(renew, 1000);
  };
  renew();
  window.addEventListener("resize", () => chart && chart.setSize({ width: box.clientWidth, height: 260 }));
})();
