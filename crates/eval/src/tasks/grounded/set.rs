//! The sets of span questions: where they lie, and what they may be used for.

/// A set.
#[derive(Debug, Clone, Copy)]
pub struct Set {
    /// Its name in reports.
    pub name: &'static str,
    /// Its files in the folder of data sets, all passages together.
    pub files: &'static [&'static str],
    /// Paragraphs of this other file are left out.
    pub without: Option<&'static str>,
    /// Whether calibrations may be fitted on it, by folds of articles.
    pub fitted: bool,
    /// Whether what comes with the program was fitted on it, so that its own answers say nothing about it.
    pub shipped: bool,
    /// Whether its questions are always asked of small libraries too.
    pub small: bool,
}

impl Set {
    /// XQuAD in English (Artetxe, Ruder and Yogatama 2020, arXiv:1910.11856; CC BY-SA 4.0).
    pub const XQUAD_EN: Self = Self {
        name: "XQuAD en",
        files: &["xquad/xquad.en"],
        without: None,
        fitted: true,
        shipped: true,
        small: false,
    };
    /// What English confidences are fitted on: XQuAD, and the validation part of FairytaleQA, whose stories are told so much
    /// otherwise that a fit on both is more careful about texts of a third kind; of large libraries and of small ones.
    pub const ENGLISH: Self = Self {
        name: "English (XQuAD, FairytaleQA val)",
        files: &["xquad/xquad.en", "fairytaleqa/val"],
        small: true,
        ..Self::XQUAD_EN
    };
    /// XQuAD in Chinese.
    pub const XQUAD_ZH: Self = Self {
        name: "XQuAD zh",
        files: &["xquad/xquad.zh"],
        ..Self::XQUAD_EN
    };
    /// What Chinese confidences are fitted on: XQuAD, and the part of CMRC 2018 (Cui et al. 2019, arXiv:1810.07366; CC BY-SA
    /// 4.0) that is meant for calibration.
    pub const CHINESE: Self = Self {
        name: "Chinese (XQuAD, CMRC 2018 trial)",
        files: &["xquad/xquad.zh", "cmrc2018/trial"],
        ..Self::XQUAD_EN
    };
    /// The development part of CMRC 2018, which is for tests alone.
    pub const CMRC: Self = Self {
        name: "CMRC 2018",
        files: &["cmrc2018/dev"],
        fitted: false,
        shipped: false,
        ..Self::XQUAD_EN
    };
    /// ExpMRC's questions of SQuAD (Cui et al. 2022, arXiv:2105.04126; CC BY-SA 4.0), for tests alone, without paragraphs of
    /// XQuAD, on which English confidences were fitted.
    pub const EXPMRC: Self = Self {
        name: "ExpMRC (SQuAD)",
        files: &["expmrc/squad_dev"],
        without: Some("xquad/xquad.en"),
        ..Self::CMRC
    };
    /// FairytaleQA's test part (Xu et al. 2022, arXiv:2203.13947; Apache-2.0): stories. The reader was trained on its training
    /// part.
    pub const FAIRYTALES: Self = Self {
        name: "FairytaleQA",
        files: &["fairytaleqa/test"],
        ..Self::CMRC
    };
}
