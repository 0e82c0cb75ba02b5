'use strict';
// Holds the deviations of ONNX Runtime from exact evaluation against netmend's bounds on them.
//   node deviation.js DEVIATION MODEL.onnx POINTS LIMIT [MEAN,.. STD,..]
// DEVIATION is the program of deviation.c. Exit status: 0 all within the rigorous bound; 1 not;
// 77 onnxruntime-node is not installed (1 where CI=true).
const path = require('path');
const { execFileSync } = require('child_process');
const { readPoints } = require('./arrays.js');
const { loadRuntime, outputsOfRuntime } = require('./runtime.js');

const median = values => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

// The closest class is bounded by margin - slack, every class by a margin of at least the slack.
function checkPoint(scores, exact, i) {
    const { target, other, margin, slack } = exact;
    const off = Math.abs(scores[target] - scores[other] - margin);
    const least = Math.min(...scores.filter((_, j) => j !== target).map(s => scores[target] - s));
    const bounded = slack === null || (off <= margin - slack && least >= Math.min(slack, 0));
    if (!Number.isFinite(off) || !bounded)
        throw new Error(`point ${i}: ONNX Runtime is off by ${off} in the margin ${margin}, its least `
                        + `margin is ${least}; least slack ${slack}`);
    return off;
}

async function main() {
    const [program, model, file, limit, mean, std] = process.argv.slice(2);
    const runtime = loadRuntime();
    const parse = text => (text ? text.split(',').map(Number) : undefined);
    const points = readPoints(file, Number(limit), parse(mean) || [0, 0, 0], parse(std) || [1, 1, 1]);
    const exact = JSON.parse(execFileSync(program, process.argv.slice(3), { encoding: 'utf8' }));
    const theirs = await outputsOfRuntime(runtime, model, points);
    if (theirs.length !== exact.length)
        throw new Error(`${theirs.length} points evaluated, ${exact.length} bounded`);
    const off = exact.map((point, i) => checkPoint(Array.from(theirs[i]), point, i));
    const seen = exact.map((_, i) => i).filter(i => off[i] > 0);
    const ratio = name => median(seen.map(i => (exact[i][name] === null ? Infinity : exact[i][name])
                                              / off[i])).toPrecision(3);
    console.log(`${path.basename(model)}: ${exact.length} points, margins off by at most `
                + `${Math.max(...off).toExponential(1)}; bound / observed, median: rigorous `
                + `${ratio('rigorous')}, first order ${ratio('first_order')}, probable ${ratio('probable')}`);
}

main().catch(error => {
    console.error(error.message);
    process.exit(1);
});
