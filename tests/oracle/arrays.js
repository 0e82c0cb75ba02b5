'use strict';
// Readers of point files, written apart from the library's so that they can check it.
const fs = require('fs');
const zlib = require('zlib');

function fromNpy(bytes) {
    const long = bytes[6] >= 2; // format version 2 widened the header length
    const start = long ? 12 : 10;
    const end = start + (long ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
    const header = bytes.toString('latin1', start, end);
    const type = /'descr':\s*'([^']+)'/.exec(header)[1];
    const shape = /'shape':\s*\(([^)]*)\)/.exec(header)[1].match(/\d+/g).map(Number);
    const read = {
        '<f4': ['readFloatLE', 4], '<f8': ['readDoubleLE', 8], '<i8': ['readBigInt64LE', 8],
    }[type];
    if (!read || /'fortran_order':\s*True/.test(header))
        throw new Error(`npy: ${header.trim()} is not handled here`);
    const n = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: n },
                                       (_, i) => Number(bytes[read[0]](end + i * read[1])));
    return { n: shape[0], values };
}

function fromIdxImages(bytes) {
    const n = bytes.readUInt32BE(4);
    return { n, values: Float32Array.from(bytes.subarray(16), pixel => pixel / 255) };
}

function fromCifar(bytes, mean, std) {
    const record = 3073;
    const channel = 1024;
    const n = bytes.length / record;
    const values = new Float32Array(n * 3 * channel);
    for (let point = 0; point < n; point++)
        for (let i = 0; i < 3 * channel; i++) {
            const c = Math.floor(i / channel);
            const pixel = bytes[point * record + 1 + i] / 255;
            values[point * 3 * channel + i] = (pixel - mean[c]) / std[c];
        }
    return { n, values };
}

function readPlain(path) {
    const bytes = fs.readFileSync(path);
    return bytes[0] === 0x1f && bytes[1] === 0x8b ? zlib.gunzipSync(bytes) : bytes;
}

const isNpy = bytes => bytes.toString('latin1', 1, 6) === 'NUMPY';

// The first `limit` points of a file, float32, as the network is to receive them.
function readPoints(path, limit, mean, std) {
    const bytes = readPlain(path);
    const all = isNpy(bytes) ? fromNpy(bytes)
        : path.endsWith('.bin') ? fromCifar(bytes, mean, std)
        : fromIdxImages(bytes);
    const n = Math.min(all.n, limit);
    return { n, values: all.values.subarray(0, n * (all.values.length / all.n)) };
}

// The classes of a label file (.npy or IDX), all of them.
function readLabels(path) {
    const bytes = readPlain(path);
    return isNpy(bytes) ? fromNpy(bytes).values : bytes.subarray(8);
}

module.exports = { readPoints, readLabels };
