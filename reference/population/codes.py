"""The codes the records use, as ready FHIR values: built once, shared by every resource.

Lists whose owners restrict copying (CPT, CDT, SNOMED CT, X12, NUBC, NDC) are not drawn from.
Where a required binding allows nothing else, the one stand-in is defined here and nowhere else.
"""

from __future__ import annotations

from typing import Any

Coded = dict[str, Any]

LOINC = "http://loinc.org"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10_PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX = "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"
THO = "http://terminology.hl7.org/CodeSystem/"
CARIN = "http://hl7.org/fhir/us/carin-bb/"
PDEX = "http://hl7.org/fhir/us/davinci-pdex/"
PLACE_OF_SERVICE = (
    "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
)


def coded(system: str, code: str, display: str = "") -> Coded:
    """Return a CodeableConcept of one coding."""
    coding = {"system": system, "code": code}
    if not display:
        return {"coding": [coding]}
    return {"coding": [{**coding, "display": display}], "text": display}


def worded(text: str) -> Coded:
    """Return a CodeableConcept in words, for what only a restricted list has a code for."""
    return {"text": text}


def quantity(value: float, unit: str) -> dict[str, Any]:
    """Return a Quantity in UCUM."""
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


# Conditions, ICD-10-CM
DIABETES = coded(ICD10, "E11.9", "Type 2 diabetes mellitus without complications")
HYPERTENSION = coded(ICD10, "I10", "Essential (primary) hypertension")
LIPIDS = coded(ICD10, "E78.5", "Hyperlipidemia, unspecified")
ASTHMA = coded(ICD10, "J45.909", "Unspecified asthma, uncomplicated")
PREGNANCY = coded(ICD10, "Z34.90", "Supervision of normal pregnancy, unspecified trimester")
DELIVERY = coded(ICD10, "O80", "Encounter for full-term uncomplicated delivery")
KIDNEY = coded(ICD10, "N18.30", "Chronic kidney disease, stage 3 unspecified")
DEPRESSION = coded(ICD10, "F33.1", "Major depressive disorder, recurrent, moderate")
ALCOHOL = coded(ICD10, "F10.20", "Alcohol dependence, uncomplicated")
FRACTURE = coded(ICD10, "S52.501A", "Unspecified fracture of the lower end of right radius")
SPRAIN = coded(ICD10, "S93.401A", "Sprain of unspecified ligament of right ankle")
HEART_BLOCK = coded(ICD10, "I44.2", "Atrioventricular block, complete")
CHECK_UP = coded(ICD10, "Z00.00", "Encounter for general adult medical examination")
CHILD_CHECK_UP = coded(ICD10, "Z00.129", "Encounter for routine child health examination")
VACCINATION = coded(ICD10, "Z23", "Encounter for immunization")
BREAST_SCREENING = coded(ICD10, "Z12.31", "Encounter for screening mammogram")
COLON_SCREENING = coded(ICD10, "Z12.11", "Encounter for screening for malignant neoplasm of colon")
DENTAL_EXAM = coded(ICD10, "Z01.20", "Encounter for dental examination and cleaning")
EYE_EXAM = coded(ICD10, "Z01.00", "Encounter for examination of eyes and vision")
FOOD_INSECURITY = coded(ICD10, "Z59.41", "Food insecurity")
APNEA = coded(ICD10, "G47.33", "Obstructive sleep apnea")

# Drugs, RxNorm
METFORMIN = coded(RXNORM, "861007", "Metformin hydrochloride 500 MG Oral Tablet")
HYDROCHLOROTHIAZIDE = coded(RXNORM, "310798", "Hydrochlorothiazide 25 MG Oral Tablet")
AMLODIPINE = coded(RXNORM, "197361", "Amlodipine 5 MG Oral Tablet")
SIMVASTATIN = coded(RXNORM, "312961", "Simvastatin 20 MG Oral Tablet")
ALBUTEROL = coded(RXNORM, "2123111", "200 ACTUAT Albuterol 0.09 MG/ACTUAT Metered Dose Inhaler")
SERTRALINE = coded(RXNORM, "312941", "Sertraline 50 MG Oral Tablet")
IRON = coded(RXNORM, "310325", "Ferrous sulfate 325 MG Oral Tablet")
IBUPROFEN = coded(RXNORM, "310965", "Ibuprofen 200 MG Oral Tablet")
ALLERGENS = (
    coded(RXNORM, "7984", "Penicillin V"),
    coded(RXNORM, "5640", "Ibuprofen"),
    coded(RXNORM, "723", "Amoxicillin"),
)

# Vaccines, CVX
INFLUENZA = coded(CVX, "140", "Influenza, seasonal, injectable, preservative free")
TD_ADULT = coded(CVX, "113", "Td (adult) preservative free")
# (age in days, vaccine): the usual childhood course
CHILD_VACCINES = (
    (1, coded(CVX, "08", "Hep B, adolescent or pediatric")),
    (61, coded(CVX, "08", "Hep B, adolescent or pediatric")),
    (61, coded(CVX, "20", "DTaP")),
    (61, coded(CVX, "10", "IPV")),
    (61, coded(CVX, "133", "Pneumococcal conjugate PCV 13")),
    (61, coded(CVX, "119", "rotavirus, monovalent")),
    (122, coded(CVX, "20", "DTaP")),
    (122, coded(CVX, "10", "IPV")),
    (122, coded(CVX, "49", "Hib (PRP-OMP)")),
    (183, coded(CVX, "20", "DTaP")),
    (183, coded(CVX, "133", "Pneumococcal conjugate PCV 13")),
    (370, coded(CVX, "03", "MMR")),
    (370, coded(CVX, "21", "varicella")),
    (380, coded(CVX, "83", "Hep A, ped/adol, 2 dose")),
    (1500, coded(CVX, "20", "DTaP")),
    (1500, coded(CVX, "03", "MMR")),
    (4060, coded(CVX, "115", "Tdap")),
    (4060, coded(CVX, "62", "HPV, quadrivalent")),
)

# Procedures: ICD-10-PCS in hospital, HCPCS level II elsewhere
BIRTH = coded(ICD10_PCS, "10E0XZZ", "Delivery of Products of Conception, External Approach")
REDUCTION = coded(ICD10_PCS, "0PSHXZZ", "Reposition Right Radius, External Approach")
PACEMAKER = coded(ICD10_PCS, "0JH606Z", "Insertion of Pacemaker, Dual Chamber into Chest")
COLONOSCOPY = coded(HCPCS, "G0121", "Colorectal cancer screening; colonoscopy")
WELLNESS = coded(HCPCS, "G0439", "Annual wellness visit, subsequent visit")
CLINIC_VISIT = coded(HCPCS, "T1015", "Clinic visit/encounter, all-inclusive")
OUTPATIENT_VISIT = coded(HCPCS, "G0463", "Hospital outpatient clinic visit")
FLU_SHOT = coded(HCPCS, "G0008", "Administration of influenza virus vaccine")
DIABETES_TRAINING = coded(HCPCS, "G0108", "Diabetes outpatient self-management training")
EYE_VISIT = coded(HCPCS, "S0620", "Routine ophthalmological examination, new patient")
FRAMES = coded(HCPCS, "V2020", "Frames, purchases")
CPAP = coded(HCPCS, "E0601", "Continuous positive airway pressure device")
WHEELCHAIR = coded(HCPCS, "K0823", "Power wheelchair, group 2 standard")
OXYGEN = coded(HCPCS, "E1390", "Oxygen concentrator")
INFLIXIMAB = coded(HCPCS, "J1745", "Injection, infliximab, 10 mg")
BED = coded(HCPCS, "E0260", "Hospital bed, semi-electric")

# Documents and reports, LOINC
PROGRESS_NOTE = coded(LOINC, "11506-3", "Progress note")
DISCHARGE_SUMMARY = coded(LOINC, "18842-5", "Discharge summary")
LETTER = coded(LOINC, "51852-2", "Letter")
CONSULT_NOTE = coded(LOINC, "11488-4", "Consult note")
LIPID_PANEL = coded(LOINC, "57698-3", "Lipid panel with direct LDL - Serum or Plasma")
METABOLIC_PANEL = coded(LOINC, "51990-0", "Basic metabolic panel - Blood")
BREAST_IMAGING = coded(LOINC, "24606-6", "MG Breast Screening")

# Restricted lists. NUBC revenue codes, CDT and NDC stand behind required bindings of CARIN BB and
# PDex; the guides' own examples write "Dummy" for NUBC, and labeler 00000 was never assigned.
REVENUE = coded("https://www.nubc.org/CodeSystem/RevenueCodes", "Dummy")
NDC_CODING = {"system": "http://hl7.org/fhir/sid/ndc", "code": "00000-0000-00"}
# The two X12 codes that say "denied": PDex binds the denial reason to X12 alone, and without a
# coded review action no receiver could tell a denied authorization from an approved one.
DENIAL_REASON = coded("https://x12.org/codes/claim-adjustment-reason-codes", "50")
NOT_CERTIFIED = coded("https://codesystem.x12.org/005010/306", "A3")
# CDT is the only coded choice for dental services but for this one; the service is in the text.
NOT_APPLICABLE = coded(THO + "data-absent-reason", "not-applicable", "Not Applicable")


def not_coded(text: str) -> Coded:
    """Return the binding's own 'not applicable', with the service in words."""
    return {"coding": NOT_APPLICABLE["coding"], "text": text}


def drug_product(drug: Coded) -> Coded:
    """Return the drug as pharmacy claims must code it; the true name is in the text."""
    return {"coding": [NDC_CODING], "text": drug["text"]}


# Security labels
_CONFIDENTIALITY = THO + "v3-Confidentiality"
_ACT = THO + "v3-ActCode"
RESTRICTED = {"system": _CONFIDENTIALITY, "code": "R", "display": "restricted"}
PSYCHIATRY = {"system": _ACT, "code": "PSY", "display": "psychiatry disorder information"}
SUBSTANCE_USE = {"system": _ACT, "code": "SUD", "display": "substance use disorder information"}
HIV = {"system": _ACT, "code": "HIV", "display": "HIV/AIDS information"}
