/* Stands at the end of a page under test: uses it as a reader would, and writes what held into
 * <pre id="probe">, one line a check. */
(function () {
  'use strict';
  var lines = [];

  function check(what, holds) {
    lines.push((holds ? 'ok ' : 'FAILED ') + what);
  }

  function shown(selector) {
    return [].filter.call(document.querySelectorAll(selector), function (e) {
      return e.getClientRects().length > 0;
    });
  }

  function hasInk(canvas) {
    var copy = document.createElement('canvas'), context, pixels;
    copy.width = canvas.width;
    copy.height = canvas.height;
    context = copy.getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    pixels = context.getImageData(0, 0, copy.width, copy.height).data;
    for (var i = 3; i < pixels.length; i += 4) if (pixels[i]) return true;
    return false;
  }

  /* Bars, lines and points have places. */
  function hasData(canvas) {
    var chart = Chart.getChart(canvas), drawn = 0;
    chart.data.datasets.forEach(function (_, i) {
      chart.getDatasetMeta(i).data.forEach(function (e) { drawn += isFinite(e.x) && isFinite(e.y) ? 1 : 0; });
    });
    return drawn > 0;
  }

  function checkCharts(where) {
    var canvases = shown('.chart canvas');
    if (typeof Chart === 'undefined') {
      check(where + ': says that there are no charts', canvases.length === 0 && shown('.note').length === 1);
      return;
    }
    check(where + ': there are charts', canvases.length > 0);
    canvases.forEach(function (canvas) {
      var name = where + ': chart "' + canvas.getAttribute('aria-label') + '"';
      check(name + ' is drawn', canvas.dataset.drawn === 'yes' && canvas.width > 0 && hasInk(canvas));
      check(name + ' shows data', !!Chart.getChart(canvas) && hasData(canvas));
    });
  }

  function checkImages(where) {
    return Promise.all(shown('img').map(function (img) {
      img.loading = 'eager';
      return img.decode().then(function () {
        check(where + ': image "' + img.alt + '" is drawn', img.naturalWidth > 0);
      }, function (e) {
        check(where + ': image "' + img.alt + '" decodes: ' + e, false);
      });
    }));
  }

  function press(element, key) {
    element.dispatchEvent(new KeyboardEvent('keydown', { key: key, bubbles: true, cancelable: true }));
  }

  function wait(ms) {
    return new Promise(function (done) { setTimeout(done, ms); });
  }

  function useGrid() {
    var links = document.querySelectorAll('.grid td a'), link = links[0];
    var target = document.querySelector(link.getAttribute('href'));
    check('grid: cells lead to details', links.length > 1 && !!target);
    check('grid: details wait', getComputedStyle(target).display === 'none');
    document.querySelector('label[for="figure-1"]').click();
    check('grid: another figure is shown',
      shown('.grid .v1').length > 0 && shown('.grid .v0').length === 0);
    link.focus();
    press(link, 'ArrowRight');
    check('grid: arrow keys walk', document.activeElement === links[1]);
    press(links[1], 'ArrowLeft');
    check('grid: and back', document.activeElement === link);
    link.click();
    return wait(300).then(function () {
      check('grid: a click shows the details', getComputedStyle(target).display !== 'none');
      check('grid: and they have the focus', document.activeElement === target);
      check('grid: of one combination only', shown('.row').length === 1);
      check('grid: with its figures', target.querySelectorAll('table tbody tr').length > 5);
      checkCharts('details');
      return checkImages('details');
    });
  }

  function report() {
    check('no errors: ' + probeErrors.join('; '), probeErrors.length === 0);
    check('nothing is loaded', performance.getEntriesByType('resource').every(function (e) {
      return e.name.slice(0, 5) === 'data:';
    }));
    check('nothing sticks out', document.documentElement.scrollWidth <= window.innerWidth);
    var pre = document.createElement('pre');
    pre.id = 'probe';
    pre.textContent = '\n' + lines.join('\n') + '\n';
    document.body.appendChild(pre);
  }

  wait(300).then(function () {
    checkCharts('page');
    return checkImages('page');
  }).then(function () {
    return document.querySelector('.grid') ? useGrid() : null;
  }).catch(function (e) { check('the probe itself: ' + e, false); }).then(report);
})();
