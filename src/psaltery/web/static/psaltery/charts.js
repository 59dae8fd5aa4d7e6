// Draws every [data-chart] with ECharts, in the colours of the theme. The library is fetched only by
// pages that show a chart.
(() => {
  "use strict";
  const library = document.currentScript.dataset.library;
  let loading = null;

  const load = () => {
    loading ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = library;
      script.onload = done;
      script.onerror = failed;
      document.head.append(script);
    });
    return loading;
  };

  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--chart-${name}`).trim();
    return {
      text: colour("text"), grid: colour("grid"), surface: colour("surface"),
      series: [1, 2, 3, 4, 5, 6].map(colour), faint: colour("faint"),
      font: style.getPropertyValue("--tblr-font-sans-serif"),
    };
  };

  const axis = (given, look) => {
    const isValue = given.type === "value";
    return {
      ...given,
      axisLabel: { color: look.text, fontSize: 12, hideOverlap: true, ...given.axisLabel },
      axisLine: { show: !isValue, lineStyle: { color: look.grid } },
      axisTick: { show: false },
      splitLine: { show: isValue, lineStyle: { color: look.grid } },
      splitNumber: 4,
    };
  };

  const dressed = (options) => {
    const look = theme();
    const named = options.series.filter((one) => !one.faint);
    return {
      textStyle: { fontFamily: look.font, color: look.text },
      color: look.series,
      animation: false, // the live parts draw it again every few seconds
      grid: { left: 4, right: 12, top: named.length > 1 ? 36 : 12, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      legend: named.length > 1
        ? { top: 0, left: 0, icon: "roundRect", itemWidth: 10, itemHeight: 10, textStyle: { color: look.text }, data: named.map((one) => one.name) }
        : undefined,
      // Text drawn on the canvas: a tooltip in HTML needs inline styles, which the page forbids.
      tooltip: {
        trigger: "axis", renderMode: "richText", confine: true, backgroundColor: look.surface, borderColor: look.grid,
        textStyle: { color: look.text, fontSize: 12 }, axisPointer: { type: "line", lineStyle: { color: look.grid } },
      },
      ...options,
      xAxis: axis(options.xAxis, look),
      yAxis: axis(options.yAxis, look),
      series: options.series.map(({ faint, ...one }) => (faint
        ? { ...one, itemStyle: { color: look.faint }, emphasis: { disabled: true } }
        : one)),
    };
  };

  const draw = (box) => {
    const options = JSON.parse(document.getElementById(box.dataset.chart).textContent);
    const chart = window.echarts.getInstanceByDom(box) || window.echarts.init(box, null, { renderer: "canvas" });
    chart.setOption(dressed(options), true);
  };

  const drawAll = async () => {
    const boxes = [...document.querySelectorAll("[data-chart]")];
    if (!boxes.length) return;
    await load();
    boxes.forEach(draw);
  };

  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
  document.addEventListener("psaltery:theme", () => { if (window.echarts) drawAll(); });
  window.addEventListener("resize", () => {
    for (const box of document.querySelectorAll("[data-chart]")) window.echarts?.getInstanceByDom(box)?.resize();
  });
})();
