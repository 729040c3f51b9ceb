// A few line icons, drawn for this page. They say nothing to a screen reader: their buttons have names.

import type { ReactNode } from "react";

function icon(path: ReactNode) {
  return function Icon({ size = 16 }: { size?: number }) {
    return (
      <svg width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.75" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false">
        {path}
      </svg>
    );
  };
}

export const SidebarIcon = icon(<><rect x="3.5" y="5" width="17" height="14" rx="2.500" /><path d="M9.500 5v14" /></>);
export const PlusIcon = icon(<path d="M12 5v14M5 12h14" />);
export const MinusIcon = icon(<path d="M5 12h14" />);
export const SearchIcon = icon(<><circle cx="11" cy="11" r="6.5" /><path d="m20 20-4.2-4.2" /></>);
export const SendIcon = icon(<path d="M12 19V5M6 11l6-6 6 6" />);
export const StopIcon = icon(<rect x="7" y="7" width="10" height="10" rx="1.5" fill="currentColor" />);
export const CopyIcon = icon(<><rect x="9" y="9" width="11" height="11" rx="2" /><path d="M5 15V6a2 2 0 0 1 2-2h8" /></>);
export const CheckIcon = icon(<path d="m5 12.5 4.5 4.5L19 7.5" />);
export const EditIcon = icon(<><path d="M4 20h4L19 9l-4-4L4 16z" /><path d="m13 7 4 4" /></>);
export const AgainIcon = icon(<><path d="M20 11a8 8 0 1 0-2.3 6.2" /><path d="M20 4.5V11h-6.5" /></>);
export const UpIcon = icon(<path d="M7 10v10H4V10zM7 10l4-7c1.6 0 2.5 1 2.3 2.5L12.800 9H18a2 2 0 0 1 2 2.400l-1.300 6.500A2.500 2.500 0 0 1 16.300 20H7" />);
export const DownIcon = icon(<path d="M17 14V4h3v10zM17 14l-4 7c-1.600 0-2.500-1-2.300-2.500L11.200 15H6a2 2 0 0 1-2-2.400l1.300-6.500A2.500 2.500 0 0 1 7.700 4H17" />);
export const LeftIcon = icon(<path d="m14 6-6 6 6 6" />);
export const RightIcon = icon(<path d="m10 6 6 6-6 6" />);
export const ChevronIcon = icon(<path d="m7 10 5 5 5-5" />);
export const DotsIcon = icon(<><circle cx="6" cy="12" r=".6" fill="currentColor" /><circle cx="12" cy="12" r=".6" fill="currentColor" /><circle cx="18" cy="12" r=".6" fill="currentColor" /></>);
export const SlidersIcon = icon(<><path d="M4 8h9M19 8h1M4 16h1M11 16h9" /><circle cx="16" cy="8" r="2.500" /><circle cx="8" cy="16" r="2.500" /></>);
export const CloseIcon = icon(<path d="m6 6 12 12M18 6 6 18" />);
export const KeyboardIcon = icon(<><rect x="3" y="6" width="18" height="12" rx="2" /><path d="M7 10h.01M11 10h.01M15 10h.01M8 14h8" /></>);

export const BookIcon = icon(<path d="M6 4h6.500l5.500 5.500V19a1.500 1.500 0 0 1-1.500 1.500h-9A1.500 1.500 0 0 1 6 19zM12.500 4v5.500H18M9 13.500h6M9 16.500h4" />);
export const GaugeIcon = icon(<><path d="M4.500 17a8.500 8.500 0 1 1 15 0" /><path d="m12 14 3.500-4.500" /></>);
export const TrashIcon = icon(<path d="M5 7h14M10 7V4.500h4V7M7 7l.8 12.500h8.400L17 7M10.500 10.500v6M13.500 10.500v6" />);
export const FolderIcon = icon(<path d="M4 18.500v-12A1.500 1.500 0 0 1 5.500 5H9l2 2.500h7.500A1.500 1.500 0 0 1 20 9v9.500z" />);
export const QuoteIcon = icon(<path d="M5 16.500c2.500-.5 4-2.500 4-5.500V7H5v5h4M14 16.500c2.500-.5 4-2.500 4-5.500V7h-4v5h4" />);
export const MemoryIcon = icon(<><path d="M7.500 17.500a4 4 0 0 1-.6-7.900 5.500 5.500 0 0 1 10.600 1 3.500 3.500 0 0 1-.5 6.900z" strokeDasharray="2.600 2.600" /></>);
export const DisputeIcon = icon(<path d="M5.500 9.500h13M5.500 14.500h13M15 5 9 19" />);
export const BrokenIcon = icon(<path d="M10 14 7.500 16.500a3 3 0 0 1-4.200-4.200L6 9.500M14 10l2.500-2.500a3 3 0 0 1 4.200 4.200L18 14.500M8.500 5.500 8 3.500M15.500 18.500l.5 2" />);
export const UnsureIcon = icon(<><circle cx="12" cy="12" r="8.500" /><path d="M9.500 9.700a2.500 2.500 0 1 1 3.600 2.300c-.7.400-1.100.9-1.100 1.700M12 16.800v.1" /></>);
export const ReceiptIcon = icon(<path d="M6.500 3.500h11v17l-2.200-1.500-1.700 1.500-1.600-1.500-1.600 1.500-1.700-1.500-2.200 1.500zM9.500 8.500h5M9.500 12h5" />);

/** The mark: an open mouth, or a C, with a point of light. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" className="fill-(--accent)" />
      <path d="M22.4 10.6a8.4 8.4 0 1 0 0 10.8" fill="none" className="stroke-(--on-accent)" strokeWidth="3.2" strokeLinecap="round" />
      <circle cx="16.6" cy="16" r="2.7" fill="#e7a33e" />
    </svg>
  );
}
