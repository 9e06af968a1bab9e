// Where a row or a table goes on beyond its edge: its attribute data-more names the sides, and the style fades them. What
// has the focus is not beyond it: browsers leave a button that is partly in view where it is.

const CONTROLS = ":is(button, select, input, summary)";
const ROWS = ".top, .transport, .path, .legend, .table-pane, .formula";

function look(row: HTMLElement): void {
  const rest = row.scrollWidth - row.clientWidth - Math.abs(row.scrollLeft);
  const sides = [row.scrollLeft > 1 && "left", rest > 1 && "right"].filter(Boolean);
  const scrolls = getComputedStyle(row).overflowX === "auto";
  row.dataset["more"] = scrolls ? sides.join(" ") : "";
  // The legend has no button that would take one along; of the others Firefox would make stops of the Tab key, unasked.
  if (!row.matches("[role]:not([role=toolbar])")) row.tabIndex = row.matches(".legend[data-more~=right], .legend[data-more~=left]") ? 0 : -1;
}

export function lookAtEdges(): void {
  document.querySelectorAll<HTMLElement>(ROWS).forEach(look);
}

export function watchEdges(): void {
  addEventListener("resize", lookAtEdges);
  addEventListener("focusin", ({ target }) => {
    if (target instanceof HTMLElement && target.matches(`${CONTROLS}:focus-visible`))
      target.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  addEventListener("scroll", ({ target }) => target instanceof HTMLElement && target.matches(ROWS) && look(target), true);
}
