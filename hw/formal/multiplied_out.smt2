; The distributive law for the parts of product_proof.sv: the sum of partial products, each at its place, and addend is
; acc·multiplier + addend, for all integers. The solver is asked for integers for which it is not.
(set-logic QF_NIA)
(declare-const a_high Int)
(declare-const a_low Int)
(declare-const m_low Int)
(declare-const d0 Int)
(declare-const d1 Int)
(declare-const d2 Int)
(declare-const d3 Int)
(declare-const d4 Int)
(declare-const d5 Int)
(declare-const d6 Int)
(declare-const d7 Int)
(declare-const addend Int)
(define-fun acc () Int (+ (* 131072 a_high) a_low))
(define-fun m_high () Int
  (+ d0 (* 4 d1) (* 16 d2) (* 64 d3) (* 256 d4) (* 1024 d5) (* 4096 d6) (* 16384 d7)))
(define-fun multiplier () Int (+ (* 131072 m_high) m_low))
(define-fun high_high () Int
  (+ (* a_high d0) (* 4 (* a_high d1)) (* 16 (* a_high d2)) (* 64 (* a_high d3)) (* 256 (* a_high d4))
     (* 1024 (* a_high d5)) (* 4096 (* a_high d6)) (* 16384 (* a_high d7))))
(define-fun sum () Int
  (+ addend (* a_low m_low) (* 131072 (+ (* a_high m_low) (* a_low m_high))) (* 17179869184 high_high)))
(assert (not (= sum (+ (* acc multiplier) addend))))
(check-sat)
