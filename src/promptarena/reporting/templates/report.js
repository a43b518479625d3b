(() => {
  "use strict";
  // ast: expressions are interpreted, so the page's policy need not allow eval.
  // Level 1 is errors: warnings about sizes are for whoever writes the charts, not for readers.
  const options = { actions: false, renderer: "svg", ast: true, logLevel: 1 };

  function draw(figure) {
    const holder = figure.querySelector(".chart");
    if (holder.dataset.drawn) return;
    holder.dataset.drawn = "yes";
    const spec = JSON.parse(figure.querySelector("script").textContent);
    // In a promise from the start: a missing vegaEmbed must not stop the rest of the page either.
    Promise.resolve()
      .then(() => vegaEmbed(holder, spec, options))
      .catch((error) => {
        holder.textContent = "This chart could not be drawn (" + error.message + "). The table has its numbers.";
      });
  }

  // A chart takes the width of its holder, and a folded holder has none: draw it when it is opened.
  function drawVisible(root) {
    for (const figure of root.querySelectorAll("figure")) {
      const folded = figure.closest("details");
      if (!folded || folded.open) draw(figure);
    }
  }

  drawVisible(document);
  for (const details of document.querySelectorAll("details")) {
    details.addEventListener("toggle", () => drawVisible(details));
  }
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    drawVisible(document);
  });

  const text = document.getElementById("report").textContent;
  const link = document.getElementById("download");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
})();
