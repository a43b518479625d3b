(() => {
  "use strict";
  const section = document.getElementById("cases");
  if (!section) return;
  const form = document.getElementById("filters");
  const cases = [...section.querySelectorAll("details.case")].map((element) => ({
    element,
    tags: JSON.parse(element.dataset.tags),
    words: null,
  }));
  // More words than this are compared by nobody, and would stop the page.
  const MOST_WORDS = 2500;
  // Below this share of common words marks would cover everything and show nothing.
  const LEAST_COMMON = 0.25;

  function fits(each, wanted) {
    const tags = each.tags;
    const outcomes = wanted.treatment ? [tags.outcomes[wanted.treatment]] : Object.values(tags.outcomes);
    if (wanted.outcome === "orders disagree") {
      if (!(wanted.treatment ? tags.conflicts.includes(wanted.treatment) : tags.conflicts.length)) return false;
    } else if (wanted.outcome && !outcomes.includes(wanted.outcome)) return false;
    const falls = wanted.treatment ? tags.falls[wanted.treatment] || [] : Object.values(tags.falls).flat();
    if (wanted.fall && !falls.includes(wanted.fall)) return false;
    for (const [dimension, value] of wanted.segments) {
      if (!(tags.segments[dimension] || []).includes(value)) return false;
    }
    if (!wanted.search) return true;
    if (each.words === null) each.words = each.element.textContent.toLowerCase();
    return wanted.search.split(/\s+/).every((word) => each.words.includes(word));
  }

  function filter() {
    const value = (name) => (form.elements[name] ? form.elements[name].value : "");
    const wanted = {
      search: value("search").trim().toLowerCase(),
      treatment: value("treatment"),
      outcome: value("outcome"),
      fall: value("fall"),
      segments: [...form.querySelectorAll("select[name=segment]")]
        .filter((select) => select.value)
        .map((select) => [select.dataset.dimension, select.value]),
    };
    let shown = 0;
    for (const each of cases) {
      const fit = fits(each, wanted);
      each.element.hidden = !fit;
      if (fit) shown += 1;
    }
    document.getElementById("found").textContent = shown + " of " + cases.length + " shown";
    document.getElementById("none").hidden = shown > 0;
  }

  // Which words two texts have in common, by Myers' diagonals (1986): quick where texts are alike.
  function common(one, other) {
    const most = one.length + other.length;
    let reach = new Map([[1, 0]]);
    const trail = [];
    for (let steps = 0; steps <= most; steps += 1) {
      trail.push(new Map(reach));
      for (let diagonal = -steps; diagonal <= steps; diagonal += 2) {
        const below = reach.get(diagonal + 1);
        const beside = reach.get(diagonal - 1);
        const down = diagonal === -steps || (diagonal !== steps && beside < below);
        let x = down ? below : beside + 1;
        let y = x - diagonal;
        while (x < one.length && y < other.length && one[x] === other[y]) { x += 1; y += 1; }
        reach.set(diagonal, x);
        if (x >= one.length && y >= other.length) return walk(trail, one.length, other.length);
      }
      if (steps > 900) return null; // they have next to nothing in common
    }
    return null;
  }

  function walk(trail, x, y) {
    const pairs = [];
    for (let steps = trail.length - 1; steps >= 0; steps -= 1) {
      const reach = trail[steps];
      const diagonal = x - y;
      const down = diagonal === -steps || (diagonal !== steps && reach.get(diagonal - 1) < reach.get(diagonal + 1));
      const before = down ? diagonal + 1 : diagonal - 1;
      const fromX = steps === 0 ? 0 : reach.get(before);
      const fromY = steps === 0 ? 0 : fromX - before;
      while (x > fromX && y > fromY) { x -= 1; y -= 1; pairs.push([x, y]); }
      x = fromX;
      y = fromY;
    }
    return pairs;
  }

  function mark(element, words, kept, tag) {
    const parts = [];
    words.forEach((word, at) => {
      const same = kept.has(at) || !word.trim();
      const last = parts[parts.length - 1];
      if (last && (last.same === same || !word.trim())) last.text += word;
      else parts.push({ same, text: word });
    });
    element.replaceChildren(
      ...parts.flatMap((part) => {
        if (part.same) return [document.createTextNode(part.text)];
        const marked = document.createElement(tag);
        marked.textContent = part.text.trimEnd(); // as text: an answer is never read as HTML
        return [marked, document.createTextNode(part.text.slice(marked.textContent.length))];
      }),
    );
  }

  function compare(element) {
    const replies = element.querySelector(".replies");
    if (!replies || replies.dataset.compared || !replies.dataset.control) return;
    replies.dataset.compared = "yes";
    const texts = [...replies.querySelectorAll(".text")];
    const control = texts.find((text) => text.dataset.variant === replies.dataset.control);
    const treatments = texts.filter((text) => text !== control);
    if (!control || !treatments.length) return;
    const split = (text) => text.textContent.split(/(\s+)/).filter((word) => word);
    const one = split(control);
    treatments.forEach((treatment, number) => {
      const other = split(treatment);
      if (one.length > 2 * MOST_WORDS || other.length > 2 * MOST_WORDS) return;
      const pairs = common(one, other) || [];
      const words = (list) => list.filter((word) => word.trim()).length;
      const shared = pairs.filter((pair) => other[pair[1]].trim()).length;
      if (shared < LEAST_COMMON * Math.max(words(one), words(other))) {
        const note = document.createElement("p");
        note.className = "note";
        note.textContent = "It has little in common with the control, so differences are not marked.";
        treatment.after(note);
        return;
      }
      mark(treatment, other, new Set(pairs.map((pair) => pair[1])), "ins");
      // Of several treatments only the first can be marked in the control as well.
      if (number === 0) mark(control, one, new Set(pairs.map((pair) => pair[0])), "del");
    });
  }

  for (const each of cases) each.element.addEventListener("toggle", () => each.element.open && compare(each.element));
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  const all = document.getElementById("open-all");
  all.addEventListener("click", () => {
    const open = all.textContent === "Open all";
    for (const each of cases) if (!each.element.hidden) each.element.open = open;
    all.textContent = open ? "Close all" : "Open all";
  });
  filter();
  if (cases.length && cases[0].tags.worst) cases[0].element.open = true;
})();
