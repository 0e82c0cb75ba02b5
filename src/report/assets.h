/* Files that are part of every page, embedded at build time (cmake/page.cmake). Each ends with a 0.
 */
#ifndef NM_REPORT_ASSETS_H
#define NM_REPORT_ASSETS_H

extern const unsigned char nm_page_css[], nm_page_js[];

/** Chart.js; empty where Debian's libjs-chart.js was not there at build time. */
extern const unsigned char nm_page_chart_js[];

#endif
