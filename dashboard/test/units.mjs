// What can be checked without a browser: the parts of the page that are plain functions.

import { Splitter } from "../src/server/stream.js";
import { visible } from "../src/parts/words.js";
import {
  base64,
  decoded,
  formatsOf,
  hex,
  indented,
  isDamaged,
  kindOf,
} from "../src/views/keys/value/formats.js";
import { lineMarks } from "../src/views/keys/value/lines.js";
import { ensure, same } from "./kit.mjs";

export async function unitChecks(check) {
  await check("units: a stream is split wherever it breaks", async () => {
    const events = [
      { action: "set", node: { key: "/a", value: '{"}\\"{' } },
      { action: "progress", index: 7 },
      { action: "set", node: { key: '/"', value: "\\" } },
    ];
    const text = events.map((event) => JSON.stringify(event)).join("\n \n");
    for (let size = 1; size <= text.length; size += 1) {
      const splitter = new Splitter();
      const found = [];
      for (let at = 0; at < text.length; at += size) {
        found.push(...splitter.push(text.slice(at, at + size)));
      }
      same(found, events, `the events in parts of ${size}`);
    }
  });

  await check("units: 100,000 events are split in a moment", async () => {
    const event = JSON.stringify({ action: "set", node: { key: "/k", value: "x".repeat(200) } });
    const text = event.repeat(100_000);
    const splitter = new Splitter();
    const begun = performance.now();
    let found = 0;
    for (let at = 0; at < text.length; at += 65_536) {
      found += splitter.push(text.slice(at, at + 65_536)).length;
    }
    same(found, 100_000, "events");
    // Quadratic work would take minutes.
    ensure(performance.now() - begun < 20_000, "it is linear");
  });

  await check("units: JSON is indented by its letters alone", async () => {
    for (const [value, want] of [
      ["{}", "{}"],
      ["[ ]", "[]"],
      ['{"a":{}}', '{\n  "a": {}\n}'],
      ['{"a":1e400,"a":-0.0}', '{\n  "a": 1e400,\n  "a": -0.0\n}'],
      ['["[,:]{\\"",null]', '[\n  "[,:]{\\"",\n  null\n]'],
    ]) {
      same(indented(value), want, value);
      same(indented(want), want, "twice the same");
      same(JSON.stringify(JSON.parse(want)), JSON.stringify(JSON.parse(value)), "what it means");
    }
  });

  await check("units: what a value is", async () => {
    for (const [value, want] of [
      ["", "text"],
      ["12", "text"],
      ['{"a":1}', "json"],
      ["[1", "text"],
      ["a: 1\nb: 2\n", "yaml"],
      ["a: 1", "text"],
      ["# x\na: 1\n- b\n", "yaml"],
      ["one\ntwo", "text"],
      ["\u0000", "hex"],
      ["a\tb\r\n\u001b[0m", "text"],
      ["a\ufffd", "hex"],
    ]) {
      same(kindOf(value), want, JSON.stringify(value));
    }
    ensure(isDamaged("a\ufffd") && !isDamaged("a\u0000"), "what is damaged");
    const names = (value) => formatsOf(value).map(([name]) => name);
    same(names("aGVsbG8h"), ["auto", "raw", "yaml", "hex", "base64", "decoded"], "formats");
    same(names("[]"), ["auto", "json", "raw", "yaml", "hex", "base64"], "formats of JSON");
  });

  await check("units: hex and base64 are of the bytes", async () => {
    const value = `${"0123456789abcdef"}\u00e9\n`;
    same(
      hex(value).split("\n"),
      [
        "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef",
        `00000010  c3 a9 0a${" ".repeat(42)}...`,
      ],
      "the lines",
    );
    const long = "\u00e9x\n".repeat(20_000);
    const lines = base64(long).split("\n");
    ensure(
      lines.every((line) => line.length <= 76),
      "lines of 76",
    );
    same(Buffer.from(lines.join(""), "base64").toString() === long, true, "the bytes");
    same(decoded(base64("hello there")), "hello there", "decoded");
    for (const no of ["", "abc", "abcdefg=h", "////////", "plain text"]) {
      same(decoded(no), null, no);
    }
  });

  await check("units: lines that another text does not have", async () => {
    const marks = (before, after) => [...lineMarks(before, after)].sort((a, b) => a - b);
    same(marks("a\nb\nc", "a\nb\nc"), [], "the same");
    same(marks("a\nb\nc", "a\nx\nc"), [1], "one changed");
    same(marks("a\nb\nc", "n\na\nb\nc\nm"), [0, 4], "two added");
    same(marks("a\nb\nc", "a\nc"), [], "one removed");
    same(marks("a\nb\nc\nd", "b\na\nd\nc").length, 2, "moved");
    const many = Array.from({ length: 5000 }, (_, at) => `line ${at}`);
    same(
      marks(many.join("\n"), [...many].reverse().join("\n")).length,
      5000,
      "too many to compare",
    );
  });

  await check("units: names are shown as what they are", async () => {
    for (const [name, want] of [
      ["/a/b c", "/a/b c"],
      ["/ ", "/\\u{20}"],
      ["/a\n", "/a\\u{a}"],
      ["/\u202eevil", "/\\u{202e}evil"],
      ["/\u00e9\u4e2d", "/\u00e9\u4e2d"],
      ["/\u00a0", "/\\u{a0}"],
    ]) {
      same(visible(name), want, JSON.stringify(name));
    }
  });
}
