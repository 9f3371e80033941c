// What dcmjs and @cornerstonejs/adapters, with which OHIF reads, find in DICOM SEG and SR files.
//   node read.mjs FILE ...  prints a line of JSON for each.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { createDecodeImageDataFromMultiframe } from "@cornerstonejs/adapters/cornerstone3D/encodePixelData";
import dcmjs from "dcmjs";

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
dcmjs.log.setLevel("error");
const first = (value) => (Array.isArray(value) ? value[0] : value);
const list = (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

async function segmentation(dataset) {
  const frame = createDecodeImageDataFromMultiframe(dataset);
  const shared = first(dataset.SharedFunctionalGroupsSequence);
  const frames = [];
  for (const [index, own] of list(dataset.PerFrameFunctionalGroupsSequence).entries()) {
    const group = { ...shared, ...own };
    const bits = await frame("", index + 1);
    const source = first(first(group.DerivationImageSequence).SourceImageSequence);
    frames.push({
      segment: first(group.SegmentIdentificationSequence).ReferencedSegmentNumber,
      image: source.ReferencedSOPInstanceUID,
      voxels: bits.reduce((sum, bit) => sum + bit, 0),
      sha256: createHash("sha256").update(bits).digest("hex"),
    });
  }
  const segments = list(dataset.SegmentSequence).map((one) => one.SegmentLabel);
  return { kind: "SEG", rows: dataset.Rows, columns: dataset.Columns, segments, frames };
}

function report(dataset) {
  const measured = [];
  const visit = (item) => {
    for (const child of list(item.ContentSequence)) {
      if (child.ValueType === "NUM") {
        const value = first(child.MeasuredValueSequence);
        measured.push({
          name: first(child.ConceptNameCodeSequence).CodeValue,
          value: Number(first(value.NumericValue)),
          unit: first(value.MeasurementUnitsCodeSequence).CodeValue,
        });
      }
      visit(child);
    }
  };
  visit(dataset);
  return { kind: "SR", measured };
}

for (const path of process.argv.slice(2)) {
  const bytes = readFileSync(path);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const file = DicomMessage.readFile(buffer);
  const dataset = DicomMetaDictionary.naturalizeDataset(file.dict);
  dataset._meta = DicomMetaDictionary.namifyDataset(file.meta);
  const found = dataset.Modality === "SEG" ? await segmentation(dataset) : report(dataset);
  console.log(JSON.stringify(found));
}
