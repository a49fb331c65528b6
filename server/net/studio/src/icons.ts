// Icons as outlines on a grid of 24 × 24, drawn with the colour of the text.
const OUTLINES = {
  seen: ["M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12z", "M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6z"],
  hidden: ["M4 4l16 16", "M9.5 6a10 10 0 0 1 2.5-.4C18.4 5.6 22 12 22 12a17 17 0 0 1-3 3.7", "M6 8a17 17 0 0 0-4 4s3.6 6.5 10 6.5a10 10 0 0 0 4-.9"],
  alone: ["M4 9V4h5", "M15 4h5v5", "M20 15v5h-5", "M9 20H4v-5", "M9.5 9.5h5v5h-5z"],
  compare: ["M4 5h7v14H4z", "M13 5h7v14h-7z"],
  rename: ["M4 20l1-5L16 4l4 4L9 19l-5 1z", "M14 6l4 4"],
  up: ["M6 14l6-6l6 6"],
  down: ["M6 10l6 6l6-6"],
  cancel: ["M6 6l12 12", "M18 6L6 18"],
  box: ["M5 5h3", "M11 5h2", "M16 5h3v3", "M19 11v2", "M19 16v3h-3", "M13 19h-2", "M8 19H5v-3", "M5 13v-2", "M5 8V5", "M9 12h6", "M12 9v6"],
  undo: ["M9 14L4 9l5-5", "M4 9h10a6 6 0 0 1 0 12h-3"],
  redo: ["M15 14l5-5l-5-5", "M20 9H10a6 6 0 0 0 0 12h3"],
  delete: ["M4 7h16", "M9 7V4h6v3", "M6 7l1 13h10l1-13", "M10 11v5", "M14 11v5"],
} as const;

export function icon(name: keyof typeof OUTLINES): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const outline of OUTLINES[name]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", outline);
    svg.append(path);
  }
  return svg;
}
