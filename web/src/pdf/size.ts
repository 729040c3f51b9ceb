// How large a page's picture is: as wide as its place, times the zoom, and never more than a browser can hold.

/** Zoom steps; 1 is as wide as the panel. */
export const zooms = [1, 1.5, 2, 3] as const;

/** Pixels of a canvas: telephones refuse more than 16 million. */
const MOST_PIXELS = 12_000_000;
/** Pixels of one side. */
const MOST_SIDE = 8192;

export interface Size {
  /** In the page's own units, as the browser lays it out. */
  width: number;
  height: number;
  /** Pixels of the canvas for one unit of the PDF. */
  scale: number;
}

/** `page` is its size in the PDF; `density` the pixels of the screen in one of the browser's. */
export function sizeOf(page: { width: number; height: number }, room: number, zoom: number, density: number): Size | null {
  if (!(page.width > 0 && page.height > 0 && room > 0) || !Number.isFinite(page.width * page.height)) return null;
  const fit = Math.min((room * zoom) / page.width, MOST_SIDE / page.height);
  const most = Math.min(Math.sqrt(MOST_PIXELS / (page.width * page.height)), MOST_SIDE / page.width, MOST_SIDE / page.height);
  return { width: page.width * fit, height: page.height * fit, scale: Math.min(fit * density, most) };
}
