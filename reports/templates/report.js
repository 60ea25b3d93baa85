(function () {
  "use strict";
  var search = document.getElementById("search");
  var buttons = Array.from(document.querySelectorAll(".filter button[data-verdict]"));
  var rows = Array.from(document.querySelectorAll("[data-text]"));
  var features = Array.from(document.querySelectorAll(".feature"));
  var shown = document.getElementById("shown");

  function chosen() {
    return buttons.filter(function (b) { return b.getAttribute("aria-pressed") === "true"; })
      .map(function (b) { return b.dataset.verdict; });
  }

  function apply() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean), verdicts = chosen(), count = 0;
    rows.forEach(function (row) {
      var fits = (!verdicts.length || verdicts.includes(row.dataset.verdict)) &&
        words.every(function (word) { return row.dataset.text.includes(word); });
      row.hidden = !fits;
      if (fits && row.classList.contains("scenario")) { count += 1; }
    });
    features.forEach(function (feature) {
      feature.hidden = !feature.querySelector(".scenario:not([hidden])");
    });
    shown.textContent = count + (count === 1 ? " scenario" : " scenarios");
  }

  search.addEventListener("input", apply);
  buttons.forEach(function (button) {
    button.addEventListener("click", function () {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  });
  document.querySelectorAll("[data-copy]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var text = button.parentNode.querySelector("pre");
      var range = document.createRange();
      range.selectNodeContents(text);
      var selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      if (navigator.clipboard) {
        navigator.clipboard.writeText(text.textContent).then(function () { button.textContent = "Copied"; },
          function () { button.textContent = "Selected"; });
      } else { button.textContent = "Selected"; }
    });
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details.finding").forEach(function (d) { d.open = true; });
  });
  document.querySelector(".filter").hidden = false;
  apply();
}());
