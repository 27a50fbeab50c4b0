"use strict";
(() => {
  const sortTable = (table, column, direction) => {
    const value = (group) => {
      const cell = group.rows[0].cells[column];
      return cell.dataset.v ?? cell.textContent.trim();
    };
    const numeric = table.tHead.rows[0].cells[column].classList.contains("n");
    const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
    const compare = (a, b) => {
      if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "");
      return direction * (numeric ? a.key - b.key : words.compare(a.key, b.key));
    };
    const groups = [...table.tBodies].map((group) => ({ group, key: value(group) }));
    groups.sort(compare);
    table.append(...groups.map((entry) => entry.group));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const first = head.classList.contains("n") ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        sortTable(table, column, order === "ascending" ? 1 : -1);
      });
    });
  }

  for (const button of document.querySelectorAll("button.open")) {
    button.addEventListener("click", () => {
      const open = button.closest("tbody").classList.toggle("is-open");
      button.setAttribute("aria-expanded", String(open));
    });
  }

  const filter = document.getElementById("filter");
  if (!filter) return;
  const count = document.getElementById("count");
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const products = [...document.querySelectorAll("tbody.product")].map((group) => ({
    group,
    text: plain(group.rows[0].textContent),
  }));
  filter.addEventListener("input", () => {
    const wanted = plain(filter.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { group, text } of products) {
      const hit = wanted.every((word) => text.includes(word));
      group.classList.toggle("is-hidden", !hit);
      shown += hit;
    }
    count.textContent = `${shown} of ${products.length} products`;
  });
})();
