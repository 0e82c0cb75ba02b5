/* Stands before all other scripts of a page under test: collects what goes wrong. */
var probeErrors = [];
window.addEventListener('error', function (event) { probeErrors.push(String(event.message)); }, true);
window.addEventListener('unhandledrejection', function (event) { probeErrors.push(String(event.reason)); });
console.error = console.warn = function () { probeErrors.push([].join.call(arguments, ' ')); };
