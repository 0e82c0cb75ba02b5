/* Draws the charts of the page; everything else works without script. */
(function () {
  'use strict';
  var drawn = [];

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  /* A vertical line at an x value, with a word beside it. */
  var markPlugin = {
    id: 'mark',
    afterDatasetsDraw: function (chart, _, options) {
      if (typeof options.x !== 'number') return;
      var area = chart.chartArea, x = chart.scales.x.getPixelForValue(options.x), c = chart.ctx;
      var atEnd = x > (area.left + area.right) / 2;
      c.save();
      c.strokeStyle = c.fillStyle = colour('--text');
      c.setLineDash([5, 4]);
      c.beginPath();
      c.moveTo(x, area.top);
      c.lineTo(x, area.bottom);
      c.stroke();
      c.textAlign = atEnd ? 'right' : 'left';
      c.fillText(options.text, x + (atEnd ? -6 : 6), area.top + 12);
      c.restore();
    }
  };

  function dataset(spec, series, i) {
    var own = colour('--series-' + i % 4);
    return {
      label: series.name,
      data: spec.labels ? series.data
        : series.data.map(function (p) { return { x: p[0], y: p[1], name: p[2] }; }),
      backgroundColor: own,
      borderColor: own,
      pointStyle: ['circle', 'rect', 'triangle', 'rectRot'][i % 4],
      borderDash: spec.type === 'line' && i % 2 ? [6, 3] : [],
      radius: spec.type === 'scatter' ? 5 : 4,
      tension: 0
    };
  }

  function axis(spec, which) {
    var kind = spec[which + '_scale'] || (which === 'x' && spec.labels ? 'category' : 'linear');
    return {
      type: kind === 'log' ? 'logarithmic' : kind,
      title: { display: true, text: spec[which], color: colour('--text') },
      ticks: { color: colour('--quiet'), maxTicksLimit: which === 'x' && spec.labels ? 40 : 11 },
      grid: { color: colour('--line') }
    };
  }

  function options(spec) {
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      plugins: {
        legend: { display: spec.series.length > 1, labels: { color: colour('--text'), usePointStyle: true } },
        mark: spec.mark || {},
        tooltip: {
          callbacks: {
            label: function (item) {
              var name = item.raw && item.raw.name ? item.raw.name : item.dataset.label;
              return name + ': ' + item.formattedValue;
            }
          }
        }
      },
      scales: { x: axis(spec, 'x'), y: axis(spec, 'y') }
    };
  }

  function draw(canvas) {
    var spec = JSON.parse(canvas.closest('figure').querySelector('script').textContent);
    drawn.push(new Chart(canvas, {
      type: spec.type,
      data: {
        labels: spec.labels,
        datasets: spec.series.map(function (series, i) { return dataset(spec, series, i); })
      },
      options: options(spec),
      plugins: [markPlugin]
    }));
    canvas.dataset.drawn = 'yes';
  }

  /* Charts that cannot be seen yet have no size, and wait. */
  function drawVisible() {
    if (typeof Chart === 'undefined') return;
    document.querySelectorAll('.chart canvas:not([data-drawn])').forEach(function (canvas) {
      if (canvas.offsetParent) draw(canvas);
    });
  }

  function redraw() {
    drawn.forEach(function (chart) {
      delete chart.canvas.dataset.drawn;
      chart.destroy();
    });
    drawn = [];
    drawVisible();
  }

  function showTarget() {
    var target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    drawVisible();
    if (target && target.classList.contains('row')) target.focus();
  }

  /* Arrow keys walk through the grid. */
  function walk(event) {
    var step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    var cell = step && event.target.closest('.grid td');
    var row = cell && document.querySelector('.grid tbody').rows[cell.parentNode.sectionRowIndex + step[0]];
    var next = row && row.cells[cell.cellIndex + step[1]];
    var link = next && next.querySelector('a');
    if (!link) return;
    event.preventDefault();
    link.focus();
  }

  window.addEventListener('hashchange', showTarget);
  document.addEventListener('toggle', drawVisible, true);
  document.addEventListener('keydown', walk);
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  window.addEventListener('beforeprint', redraw);
  window.addEventListener('afterprint', redraw);
  showTarget();
})();
